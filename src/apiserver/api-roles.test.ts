import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  bindIn,
  bindingOf,
  created,
  RBAC_GROUP as GROUP,
  giveEverywhere,
  teamSuite,
} from '../../test/kit/team-server.ts';

// Roles through the API: teams keep to themselves, and nobody gives what he does not have.

const suite = teamSuite();
const RBAC = `/apis/${GROUP}/v1`;
const CORE = '/api/v1';
const POLICIES = '/apis/security.istio.io/v1';

const roleWith = (name: string, ...resources: string[]): object => ({
  metadata: { name },
  rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources }],
});
const policy = (name: string): object => ({ metadata: { name }, spec: {} });

describe('a team', () => {
  it('does what its role says in its namespace, and nothing in others', async () => {
    const own = `${POLICIES}/namespaces/team1-ns/authorizationpolicies`;
    const other = `${POLICIES}/namespaces/team2-ns/authorizationpolicies`;
    await created(suite.ana.post(own, policy('mine')));
    await created(suite.bo.post(other, policy('theirs')));
    const refused = await suite.ana.get(`${other}/theirs`);
    assert.equal(refused.status, 403);
    assert.equal(
      refused.body.message,
      'authorizationpolicies.security.istio.io "theirs" is forbidden: User "ana" cannot get resource "authorizationpolicies" in API group "security.istio.io" in the namespace "team2-ns"',
    );
    const answers = await Promise.all([
      suite.ana.get(other),
      suite.ana.post(other, policy('x')),
      suite.ana.put(`${other}/theirs`, policy('theirs')),
      suite.ana.patch(`${other}/theirs`, 'merge', { spec: { action: 'DENY' } }),
      suite.ana.patch(`${other}/theirs/status`, 'merge', { status: {} }),
      suite.ana.delete(`${other}/theirs`),
      suite.ana.delete(other),
      suite.ana.get(`${POLICIES}/authorizationpolicies`),
      suite.ana.get(`${POLICIES}/watch/namespaces/team2-ns/authorizationpolicies`),
      suite.ana.get(`${other}?watch=true`),
      suite.ana.get(`${other}?fieldSelector=metadata.namespace%3Dteam1-ns`),
      suite.ana.post(`${CORE}/namespaces/team2-ns/serviceaccounts/default/token`, { spec: {} }),
      suite.ana.delete(`${CORE}/namespaces/team2-ns`),
      suite.ana.put(`${CORE}/namespaces/team1-ns`, {
        metadata: { name: 'team1-ns', labels: { a: 'b' } },
      }),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 403),
    );
  });

  it('does not reach another namespace by a body, a path or an owner', async () => {
    const own = `${POLICIES}/namespaces/team1-ns/authorizationpolicies`;
    const elsewhere = { metadata: { name: 'x', namespace: 'team2-ns' }, spec: {} };
    assert.equal((await suite.ana.post(own, elsewhere)).status, 400);
    for (const path of [
      `${POLICIES}/namespaces/team1-ns/../team2-ns/authorizationpolicies`,
      `${POLICIES}/namespaces/team1-ns%2F..%2Fteam2-ns/authorizationpolicies`,
      `${POLICIES}//namespaces//team2-ns//authorizationpolicies`,
      `/apis/security.istio.io/v1beta1/namespaces/team2-ns/authorizationpolicies`,
    ])
      assert.equal((await suite.ana.get(path)).status, 403, path);
    await suite.bo.post(`${CORE}/namespaces/team2-ns/configmaps`, { metadata: { name: 'kept' } });
    const kept = await suite.bo.get(`${CORE}/namespaces/team2-ns/configmaps/kept`);
    const { uid } = kept.body.metadata;
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kept', uid };
    const owned = { metadata: { name: 'owned', ownerReferences: [owner] } };
    await created(suite.ana.post(`${CORE}/namespaces/team1-ns/configmaps`, owned));
    assert.equal(
      (await suite.ana.delete(`${CORE}/namespaces/team1-ns/configmaps/owned`)).status,
      200,
    );
    const { status } = await suite.bo.get(`${CORE}/namespaces/team2-ns/configmaps/kept`);
    assert.equal(status, 200);
  });

  it('does not reach another namespace as if that were in its own', async () => {
    const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
    const roles = `${RBAC}/namespaces/team1-ns/roles`;
    await created(suite.api.admin.post(roles, { metadata: { name: 'everything' }, rules }));
    const gil = suite.person('gil');
    await created(bindIn('team1-ns', 'gil', 'Role/everything', 'User/gil', suite.api.admin));
    const inside = `${CORE}/namespaces/team1-ns/namespaces`;
    const labels = { metadata: { name: 'team2-ns', labels: { stolen: 'yes' } } };
    const answers = await Promise.all([
      gil.get(`${inside}/team2-ns`),
      gil.get(inside),
      gil.get(`${inside}?watch=true&timeoutSeconds=1`),
      gil.post(inside, { metadata: { name: 'team3-ns' } }),
      gil.patch(`${inside}/team2-ns`, 'merge', labels),
      gil.put(`${inside}/team2-ns`, labels),
      gil.delete(`${inside}/team2-ns`),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 404),
    );
    const { body } = await suite.api.admin.get(`${CORE}/namespaces/team2-ns`);
    assert.equal(body.status.phase, 'Active');
    assert.equal(body.metadata.labels?.stolen, undefined);
    assert.equal((await gil.get(`${CORE}/namespaces/team1-ns`)).status, 200);
  });

  it('reads only what its roles say of what the server tells of itself', async () => {
    for (const path of ['/bulwark/v1alpha1/proxies', '/metrics', '/', '/logs/x'])
      assert.equal((await suite.ana.get(path)).status, 403, path);
    for (const path of ['/api', '/apis', '/openapi/v3', '/version'])
      assert.equal((await suite.ana.get(path)).status, 200, path);
  });
});

describe('who writes roles and bindings', () => {
  const roles = `${RBAC}/namespaces/team1-ns/roles`;

  it('gives what he has, and is told what he has not', async () => {
    await created(suite.ana.post(roles, roleWith('own', 'configmaps', 'secrets')));
    const { status, body } = await suite.ana.post(roles, roleWith('more', 'configmaps', 'nodes'));
    assert.equal(status, 403);
    assert.equal(
      body.message,
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "ana" (groups=["team1" "visitors" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
    );
    const wide = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
    const mayCreate = { verbs: ['create'], apiGroups: [GROUP], resources: ['clusterroles'] };
    await giveEverywhere(suite.api, 'role-creator', [mayCreate], 'User/cat');
    const rules = [
      { verbs: ['get', 'post'], nonResourceURLs: ['/metrics'] },
      { verbs: ['get', 'list'], apiGroups: [''], resources: ['nodes'] },
    ];
    const everywhere = { metadata: { name: 'more' }, rules };
    assert.match(
      (await suite.person('cat').post(`${RBAC}/clusterroles`, everywhere)).body.message,
      /held:\n\{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["get" "list"\]\}\n\{NonResourceURLs:\["\/metrics"\], Verbs:\["get"\]\}\n\{NonResourceURLs:\["\/metrics"\], Verbs:\["post"\]\}$/,
    );
    const star = { metadata: { name: 'star' }, rules: [wide] };
    assert.equal((await suite.ana.post(roles, star)).status, 403);
    assert.equal((await suite.ana.post(`${roles}?dryRun=All`, star)).status, 403);
  });

  it('cannot make a role wider by changing it, in any way', async () => {
    await created(suite.ana.post(roles, roleWith('changed', 'configmaps')));
    const path = `${roles}/changed`;
    const wider = { rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] };
    assert.equal((await suite.ana.patch(path, 'merge', wider)).status, 403);
    assert.equal((await suite.ana.patch(path, 'strategic-merge', wider)).status, 403);
    const add = [{ op: 'replace', path: '/rules/0/verbs/0', value: 'escalate' }];
    assert.equal((await suite.ana.patch(path, 'json', add)).status, 403);
    assert.equal(
      (await suite.ana.put(path, { metadata: { name: 'changed' }, ...wider })).status,
      403,
    );
    const { body } = await suite.ana.get(path);
    assert.deepEqual(body.rules[0].verbs, ['get', 'list']);
  });

  it('binds only roles that give no more than he has, unless he may bind them', async () => {
    await created(bindIn('team1-ns', 'helper', 'ClusterRole/view', 'User/cy', suite.ana));
    const more = await bindIn(
      'team1-ns',
      'boss',
      'ClusterRole/cluster-admin',
      'User/ana',
      suite.ana,
    );
    assert.equal(more.status, 403);
    assert.match(more.body.message, /not currently held:\n\{APIGroups:\["\*"\], Resources/);
    assert.equal(
      (await bindIn('team1-ns', 'none', 'ClusterRole/nope', 'User/x', suite.ana)).status,
      404,
    );
    const everywhere = `${RBAC}/clusterrolebindings`;
    const all = await suite.ana.post(everywhere, bindingOf('all', 'ClusterRole/view', 'User/ana'));
    assert.equal(all.status, 403);
    const mayBind = {
      metadata: { name: 'binder' },
      rules: [
        {
          verbs: ['bind'],
          apiGroups: [GROUP],
          resources: ['clusterroles'],
          resourceNames: ['bulwark:agent', 'cluster-admin'],
        },
      ],
    };
    await created(suite.api.admin.post(roles, mayBind));
    await created(bindIn('team1-ns', 'binder', 'Role/binder', 'User/ana', suite.api.admin));
    await created(bindIn('team1-ns', 'boss', 'ClusterRole/cluster-admin', 'User/dan', suite.ana));
  });

  it('may give what he has not with the verb escalate', async () => {
    const rules = [{ verbs: ['escalate'], apiGroups: [GROUP], resources: ['roles'] }];
    await created(suite.api.admin.post(roles, { metadata: { name: 'escalator' }, rules }));
    await created(bindIn('team1-ns', 'escalator', 'Role/escalator', 'User/eve', suite.api.admin));
    await created(bindIn('team1-ns', 'eve', 'ClusterRole/admin', 'User/eve', suite.api.admin));
    await created(suite.person('eve').post(roles, roleWith('nodes', 'nodes')));
  });

  it('needs all rights there are for a role that collects others', async () => {
    const rules = [{ verbs: ['create'], apiGroups: [GROUP], resources: ['clusterroles'] }];
    await giveEverywhere(suite.api, 'role-writer', rules, 'User/fay');
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { any: 'true' } }] };
    const collector = { metadata: { name: 'collector' }, rules: [], aggregationRule };
    const { status, body } = await suite.person('fay').post(`${RBAC}/clusterroles`, collector);
    assert.equal(status, 403);
    assert.match(body.message, /must have cluster-admin privileges to use the aggregationRule$/);
  });

  it('does not hold others up by all the rules that he has', async () => {
    const rule = (name: string): object => {
      const which = { apiGroups: [''], resources: ['configmaps'], resourceNames: [name] };
      return { verbs: ['get'], ...which };
    };
    const many = [
      { verbs: ['create'], apiGroups: [GROUP], resources: ['roles'] },
      ...Array.from({ length: 5000 }, (_, index) => rule(`n${index}`)),
    ];
    await created(suite.api.admin.post(roles, { metadata: { name: 'many' }, rules: many }));
    await created(bindIn('team1-ns', 'many', 'Role/many', 'User/hal', suite.api.admin));
    const hal = suite.person('hal');
    const asks = (name: string, count: number) =>
      hal.post(roles, { metadata: { name }, rules: many.slice(1, 1 + count) });
    await created(asks('some', 10));
    const { status, body } = await asks('more', 1000);
    assert.equal(status, 403);
    assert.match(
      body.message,
      /1000 rights cannot be compared with the 5\d{3} rules that you have/,
    );
  });

  it('is refused a role that is too large to compare', async () => {
    const words = Array.from({ length: 100 }, (_, index) => `w${index}`);
    const rules = [{ verbs: words, apiGroups: words, resources: words }];
    const { status, body } = await suite.ana.post(roles, { metadata: { name: 'large' }, rules });
    assert.equal(status, 403);
    assert.match(body.message, /more than 20000 rights/);
  });
});
