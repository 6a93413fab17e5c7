import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { it } from 'node:test';
import { OpenWatches } from '#apiserver/open-watches.ts';
import { parseRequest } from '#apiserver/request-info.ts';
import type { ApiRequest } from '#apiserver/resource-context.ts';
import type { WatchRun } from '#apiserver/watch.ts';
import type { ApiClient, TestWatch } from '../../test/kit/api-client.ts';
import {
  bindIn,
  bindingOf,
  created,
  giveEverywhere,
  RBAC_GROUP,
  startTeamServer,
} from '../../test/kit/team-server.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const CORE = '/api/v1/namespaces';
const RBAC = `/apis/${RBAC_GROUP}/v1`;

/** A watch, once it has told of the first object. */
async function watching(
  client: ApiClient,
  namespace: string,
  headers: Record<string, string> = {},
): Promise<TestWatch & { readonly isOver: () => boolean }> {
  const path = `${CORE}/${namespace}/serviceaccounts?watch=true&timeoutSeconds=600`;
  const watch = await client.watch(path, headers);
  await waitUntil(() => watch.events.length > 0, 'the first event');
  let isOver = false;
  void watch.ended.then(() => {
    isOver = true;
  });
  return { ...watch, events: watch.events, isOver: () => isOver };
}

it('a watch ends when its right is taken, and others go on', async (t) => {
  const { api, ana, bo, person } = await startTeamServer(t);
  await giveEverywhere(
    api,
    'as-bo',
    [{ verbs: ['impersonate'], apiGroups: [''], resources: ['users'] }],
    'User/gil',
  );
  const [own, others, admins, acting] = await Promise.all([
    watching(ana, 'team1-ns'),
    watching(bo, 'team2-ns'),
    watching(api.admin, 'team1-ns'),
    watching(person('gil'), 'team2-ns', { 'impersonate-user': 'bo' }),
  ]);
  // A second binding of the same right: taking the first one takes nothing.
  await created(bindIn('team1-ns', 'more', 'ClusterRole/view', 'User/ana', api.admin));
  await waitUntil(acting.isOver, 'who acts as somebody else has to ask again');
  await api.admin.delete(`${RBAC}/namespaces/team1-ns/rolebindings/team1`);
  await created(api.admin.post(`${CORE}/team1-ns/serviceaccounts`, { metadata: { name: 'a' } }));
  await waitUntil(() => own.events.length === 2, 'the watch goes on');
  assert.equal(own.isOver(), false);
  await api.admin.delete(`${RBAC}/namespaces/team1-ns/rolebindings/more`);
  await waitUntil(own.isOver, 'the watch is over');
  await created(api.admin.post(`${CORE}/team1-ns/serviceaccounts`, { metadata: { name: 'b' } }));
  await created(api.admin.post(`${CORE}/team2-ns/serviceaccounts`, { metadata: { name: 'c' } }));
  await waitUntil(() => others.events.length === 2 && admins.events.length === 3, 'others go on');
  assert.equal(own.events.length, 2);
  for (const watch of [others, admins]) watch.close();
});

it('a watch ends with the account whose token opened it, and when its role says less', async (t) => {
  const { api } = await startTeamServer(t);
  const accounts = `${CORE}/team1-ns/serviceaccounts`;
  const clientOf = async (name: string): Promise<ApiClient> => {
    await created(api.admin.post(accounts, { metadata: { name } }));
    const subject = { kind: 'ServiceAccount', name, namespace: 'team1-ns' };
    const binding = { ...bindingOf(name, 'Role/watcher', 'User/x'), subjects: [subject] };
    await created(api.admin.post(`${RBAC}/namespaces/team1-ns/rolebindings`, binding));
    const { status } = (await api.admin.post(`${accounts}/${name}/token`, { spec: {} })).body;
    return api.client({ token: status.token });
  };
  const roles = `${RBAC}/namespaces/team1-ns/roles`;
  const rules = [{ verbs: ['list', 'watch'], apiGroups: [''], resources: ['serviceaccounts'] }];
  await created(api.admin.post(roles, { metadata: { name: 'watcher' }, rules }));
  const first = await watching(await clientOf('first'), 'team1-ns');
  const second = await watching(await clientOf('second'), 'team1-ns');
  await api.admin.delete(`${accounts}/first`);
  await waitUntil(first.isOver, 'the watch of the account that is gone is over');
  assert.equal(second.isOver(), false);
  const less = { rules: [{ ...rules[0], verbs: ['list'] }] };
  assert.equal((await api.admin.patch(`${roles}/watcher`, 'merge', less)).status, 200);
  await waitUntil(second.isOver, 'the watch that the role does not allow any more is over');
});

it('a watch whose right went before it began is over at once', async (t) => {
  const { api } = await startTeamServer(t);
  const isAllowed = { authorize: () => ({ allowed: false }) };
  const watches = new OpenWatches({ store: api.store, authorizer: isAllowed });
  const info = parseRequest('GET', '/api/v1/configmaps', true);
  const request = { caller: { username: 'x', groups: [] }, info, query: new URLSearchParams() };
  let signal: AbortSignal | undefined;
  const run: WatchRun = async (_response, closing) => {
    signal = closing;
  };
  const never = new AbortController().signal;
  await watches.guarded(request as unknown as ApiRequest, run)({} as ServerResponse, never);
  assert.equal(signal?.aborted, true);
});
