import assert from 'node:assert/strict';
import { after, before, type TestContext } from 'node:test';
import type { ApiAnswer, ApiClient } from './api-client.ts';
import { startApiServer, type TestApiServer } from './api-server.ts';
import { temporaryDirectory } from './temp-directory.ts';

/** The group of roles and bindings, and where they are. */
export const RBAC_GROUP = 'rbac.authorization.k8s.io';
const RBAC_PATH = `/apis/${RBAC_GROUP}/v1`;

/** An API server with two teams, each in a namespace of its own. */
export interface TeamServer {
  readonly api: TestApiServer;
  /** Administers `team1-ns` and nothing else, as a member of the group `team1`. */
  readonly ana: ApiClient;
  /** Edits `team2-ns` and nothing else. */
  readonly bo: ApiClient;
  /** Somebody with a certificate. */
  person(user: string, ...groups: string[]): ApiClient;
}

/** Starts it; ends with the test. */
export async function startTeamServer(test: Pick<TestContext, 'after'>): Promise<TeamServer> {
  const api = await startApiServer(test, { directory: temporaryDirectory(test) });
  const person = (user: string, ...groups: string[]): ApiClient =>
    api.client({ credentials: api.clients.issue({ user, groups, validDays: 1 }) });
  for (const name of ['team1-ns', 'team2-ns']) {
    await created(api.admin.post('/api/v1/namespaces', { metadata: { name } }));
  }
  await created(bindIn('team1-ns', 'team1', 'ClusterRole/admin', 'Group/team1', api.admin));
  await created(bindIn('team2-ns', 'team2', 'ClusterRole/edit', 'User/bo', api.admin));
  return { api, person, ana: person('ana', 'team1', 'visitors'), bo: person('bo', 'team2') };
}

/** One for all tests of a file, from before the first until after the last. */
export function teamSuite(): TeamServer {
  const closers: (() => unknown)[] = [];
  let started: TeamServer | undefined;
  before(async () => {
    const suite = { after: (close: () => unknown) => void closers.unshift(close) };
    started = await startTeamServer(suite as never);
  });
  after(async () => {
    for (const close of closers) await close();
  });
  const server = (): TeamServer => started ?? assert.fail('the first test has not begun');
  return {
    get api() {
      return server().api;
    },
    get ana() {
      return server().ana;
    },
    get bo() {
      return server().bo;
    },
    person: (user, ...groups) => server().person(user, ...groups),
  };
}

/** What was created. @throws AssertionError when it was refused */
export async function created(answer: Promise<ApiAnswer>): Promise<ApiAnswer['body']> {
  const { status, text, body } = await answer;
  assert.equal(status, 201, text);
  return body;
}

/** A binding of `ClusterRole/edit` to `Group/team1`, in words. */
export function bindingOf(name: string, role: string, subject: string): object {
  const [kind, roleName] = role.split('/');
  const [subjectKind, subjectName] = subject.split('/');
  return {
    metadata: { name },
    subjects: [{ kind: subjectKind, name: subjectName }],
    roleRef: { apiGroup: RBAC_GROUP, kind, name: roleName },
  };
}

/** Somebody asks for a RoleBinding. */
export function bindIn(
  namespace: string,
  name: string,
  role: string,
  subject: string,
  by: ApiClient,
): Promise<ApiAnswer> {
  const path = `${RBAC_PATH}/namespaces/${namespace}/rolebindings`;
  return by.post(path, bindingOf(name, role, subject));
}

/** The administrator gives somebody a ClusterRole of these rules, everywhere. */
export async function giveEverywhere(
  { admin }: TestApiServer,
  name: string,
  rules: readonly object[],
  subject: string,
): Promise<void> {
  await created(admin.post(`${RBAC_PATH}/clusterroles`, { metadata: { name }, rules }));
  const binding = bindingOf(name, `ClusterRole/${name}`, subject);
  await created(admin.post(`${RBAC_PATH}/clusterrolebindings`, binding));
}
