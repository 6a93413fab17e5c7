import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { ApiClient } from '../../test/kit/api-client.ts';
import {
  bindIn,
  bindingOf,
  created,
  giveEverywhere,
  RBAC_GROUP,
  teamSuite,
} from '../../test/kit/team-server.ts';

// Who somebody is to the API, and what he may do: acting as others, tokens, questions about rights.

const suite = teamSuite();
const RBAC = `/apis/${RBAC_GROUP}/v1`;
const CORE = '/api/v1';
const ACCESS = '/apis/authorization.k8s.io/v1';

describe('acting as somebody else', () => {
  const maps = `${CORE}/namespaces/team2-ns/configmaps`;
  const whoami = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const as = (client: ApiClient, headers: Record<string, string>, path = maps) =>
    client.get(path, headers);

  it('needs the right for each user, group, uid and extra value', async () => {
    assert.equal((await as(suite.ana, { 'impersonate-user': 'bo' })).status, 403);
    const masters = { 'impersonate-user': 'ana', 'impersonate-group': 'system:masters' };
    assert.equal((await as(suite.ana, masters)).status, 403);
    const rules = [
      { verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['bo'] },
    ];
    await giveEverywhere(suite.api, 'as-bo', rules, 'User/gil');
    const gil = suite.person('gil');
    assert.equal((await as(gil, { 'impersonate-user': 'bo' })).status, 200);
    for (const headers of [
      { 'impersonate-user': 'ana' },
      { 'impersonate-user': 'bo', 'impersonate-group': 'system:masters' },
      { 'impersonate-user': 'bo', 'impersonate-uid': '1' },
      { 'impersonate-user': 'bo', 'impersonate-extra-scopes': 'all' },
    ])
      assert.equal((await as(gil, headers)).status, 403, JSON.stringify(headers));
    assert.equal((await as(gil, { 'impersonate-group': 'team2' })).status, 400);
  });

  it('an editor of a namespace may act as its accounts, and no others', async () => {
    const account = (namespace: string) => ({
      'impersonate-user': `system:serviceaccount:${namespace}:default`,
    });
    const answer = await suite.ana.ask({
      method: 'POST',
      path: whoami,
      body: {},
      headers: account('team1-ns'),
    });
    assert.deepEqual(answer.body.status.userInfo.groups, [
      'system:serviceaccounts',
      'system:serviceaccounts:team1-ns',
      'system:authenticated',
    ]);
    assert.equal((await as(suite.ana, account('team2-ns'))).status, 403);
    const odd = { 'impersonate-user': 'system:serviceaccount:team1-ns:default:x' };
    assert.equal((await as(suite.ana, odd)).status, 403);
  });

  it('can be allowed for single requests', async () => {
    const rule = (verb: string, group: string, resource: string) => ({
      ...{ verbs: [verb], apiGroups: [group], resources: [resource] },
    });
    const rules = [
      rule('impersonate:user-info', 'authentication.k8s.io', 'users'),
      rule('impersonate-on:user-info:list', '', 'configmaps'),
    ];
    await giveEverywhere(suite.api, 'narrow', rules, 'User/hal');
    const hal = suite.person('hal');
    assert.equal((await as(hal, { 'impersonate-user': 'bo' })).status, 200);
    assert.equal((await as(hal, { 'impersonate-user': 'ana' })).status, 403);
    // The narrow right to act as users is none to act as machines, or what looks like an account.
    for (const [at, name] of ['system:node:n1', 'system:serviceaccount:a:b:c'].entries()) {
      await created(
        bindIn('team2-ns', `odd-${at}`, 'ClusterRole/edit', `User/${name}`, suite.api.admin),
      );
      assert.equal((await as(hal, { 'impersonate-user': name })).status, 403, name);
    }
    const secrets = `${CORE}/namespaces/team2-ns/secrets`;
    const { status, body } = await as(hal, { 'impersonate-user': 'bo' }, secrets);
    assert.equal(status, 403);
    assert.match(body.message, /cannot impersonate-on:user-info:list resource "secrets"/);
  });

  it('gives the groups that are named, each as it is', async () => {
    const answer = await suite.api.admin.ask({
      method: 'POST',
      path: whoami,
      body: {},
      headers: { 'impersonate-user': 'x', 'impersonate-group': 'a, system:masters' },
    });
    assert.deepEqual(answer.body.status.userInfo.groups, [
      'a, system:masters',
      'system:authenticated',
    ]);
  });
});

it('the token of a deleted account is nobody, whatever it was bound to', async () => {
  const accounts = `${CORE}/namespaces/team1-ns/serviceaccounts`;
  await created(suite.api.admin.post(accounts, { metadata: { name: 'ci' } }));
  const binding = {
    ...bindingOf('ci', 'ClusterRole/edit', 'User/x'),
    subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'team1-ns' }],
  };
  await created(suite.api.admin.post(`${RBAC}/namespaces/team1-ns/rolebindings`, binding));
  const { body } = await suite.api.admin.post(`${accounts}/ci/token`, { spec: {} });
  const ci = suite.api.client({ token: body.status.token });
  const maps = `${CORE}/namespaces/team1-ns/configmaps`;
  assert.equal((await ci.get(maps)).status, 200);
  assert.equal((await ci.get(`${CORE}/namespaces/team2-ns/configmaps`)).status, 403);
  await suite.api.admin.delete(`${accounts}/ci`);
  assert.equal((await ci.get(maps)).status, 401);
  await created(suite.api.admin.post(accounts, { metadata: { name: 'ci' } }));
  assert.equal((await ci.get(maps)).status, 401);
});

it('a certificate makes no groups out of the text of one', async () => {
  for (const group of ['team2/O=system:masters', 'x\nO=system:masters', 'a,O=system:masters']) {
    const { status } = await suite.person('ivy', group).get(`${CORE}/namespaces`);
    assert.equal(status, 403, group);
  }
});

describe('asking what somebody may do', () => {
  const review = (client: ApiClient, spec: object, kind = 'selfsubjectaccessreviews') =>
    client.post(`${ACCESS}/${kind}`, { spec });
  const about = (namespace: string) => ({
    resourceAttributes: { namespace, verb: 'update', resource: 'secrets' },
  });

  it('is answered for oneself, by the rule that allows it', async () => {
    const yes = await review(suite.ana, about('team1-ns'));
    assert.deepEqual(yes.body.status, {
      allowed: true,
      reason:
        'RBAC: allowed by RoleBinding "team1/team1-ns" of ClusterRole "admin" to Group "team1"',
    });
    const no = await review(suite.ana, about('team2-ns'));
    assert.deepEqual(no.body.status, { allowed: false });
  });

  it('is answered about others to who may ask: in a namespace, its administrator', async () => {
    const spec = { user: 'bo', ...about('team1-ns') };
    assert.equal((await review(suite.ana, spec, 'subjectaccessreviews')).status, 403);
    const local = (namespace: string) =>
      suite.ana.post(`${ACCESS}/namespaces/${namespace}/localsubjectaccessreviews`, { spec });
    assert.equal((await local('team1-ns')).body.status.allowed, false);
    assert.equal((await local('team2-ns')).status, 403);
  });

  it('lists the rules of the caller', async () => {
    const spec = { namespace: 'team2-ns' };
    const { body } = await review(suite.bo, spec, 'selfsubjectrulesreviews');
    const resources = body.status.resourceRules.flatMap(
      (rule: { resources: string[] }) => rule.resources,
    );
    assert.ok(resources.includes('authorizationpolicies'));
    const outside = await review(suite.bo, { namespace: 'team1-ns' }, 'selfsubjectrulesreviews');
    assert.deepEqual(
      outside.body.status.resourceRules.flatMap((rule: { resources: string[] }) => rule.resources),
      ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'],
    );
  });

  it('is refused when it says nothing readable', async () => {
    for (const spec of [
      { resourceAttributes: 'x' },
      { resourceAttributes: { verb: 1 } },
      { user: 1, ...about('team1-ns') },
      { user: 'x', groups: 'y', ...about('team1-ns') },
    ]) {
      const kind = 'user' in spec ? 'subjectaccessreviews' : 'selfsubjectaccessreviews';
      assert.equal((await review(suite.api.admin, spec, kind)).status, 400, JSON.stringify(spec));
    }
  });
});

it('tells others how to verify tokens of its accounts, and only those who may ask', async () => {
  const path = '/.well-known/openid-configuration';
  const { body } = await suite.api.admin.get(path);
  assert.equal(body.issuer, suite.api.tokens.issuer);
  const keys = await suite.api.admin.get('/openid/v1/jwks', { accept: 'application/jwk-set+json' });
  assert.equal(keys.headers['content-type'], 'application/jwk-set+json');
  const account = `${CORE}/namespaces/team2-ns/serviceaccounts/default/token`;
  const { token } = (await created(suite.api.admin.post(account, { spec: {} }))).status;
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys.body));
  assert.equal(payload.sub, 'system:serviceaccount:team2-ns:default');
  assert.equal((await suite.api.client({ token }).get(path)).status, 200);
  const json = { accept: 'application/json' };
  assert.equal((await suite.api.admin.get('/openid/v1/jwks', json)).status, 406);
  for (const client of [suite.ana, suite.api.client()])
    assert.equal((await client.get(path)).status, 403);
});

it('counts what it refuses, by whether the credentials or the rights are missing', async () => {
  const count = async (reason: string): Promise<number> => {
    const line = `bulwark_api_refused_total{reason="${reason}"} `;
    const lines = (await suite.api.metrics.text()).split('\n');
    return Number(lines.find((one) => one.startsWith(line))?.slice(line.length) ?? 0);
  };
  const [unknown, forbidden] = [await count('Unauthorized'), await count('Forbidden')];
  assert.equal((await suite.api.client({ token: 'nobody' }).get('/version')).status, 401);
  assert.equal((await suite.ana.get(`${CORE}/namespaces/team2-ns/secrets`)).status, 403);
  assert.equal((await suite.ana.get(`${CORE}/namespaces/team1-ns/secrets`)).status, 200);
  assert.equal(await count('Unauthorized'), unknown + 1);
  assert.equal(await count('Forbidden'), forbidden + 1);
});
