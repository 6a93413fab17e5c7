// What callers are told whom a denier of Mixer refuses, by the real Envoy; and that a change of it
// reaches an open connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGuardedApp } from '../kit/guarded-app.ts';
import { waitUntil } from '../kit/wait-until.ts';

const DENIER = (spec: string, match = 'request.method == "GET"') => `
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: { name: deny, namespace: shop }
spec: { compiledAdapter: denier, params: { status: ${spec} } }
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: { name: nothing, namespace: shop }
spec: { compiledTemplate: checknothing }
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: closed, namespace: shop }
spec: { match: '${match}', actions: [{ handler: deny, instances: [nothing] }] }
`;

test('what a denier tells callers', { timeout: 240_000 }, async (t) => {
  const app = await startGuardedApp(t);
  const becomes = async (status: number, headers = {}) =>
    waitUntil(async () => (await app.ask('/', headers)).status === status, `status ${status}`);
  await becomes(200);

  await t.test('is what other policies say, if it says nothing of its own', async () => {
    app.apply(DENIER('{ code: 7 }'));
    await becomes(403);
    assert.equal((await app.ask('/')).body, 'RBAC: access denied');
  });

  await t.test('is its code and its message', async () => {
    app.apply(DENIER('{ code: 16, message: "come back with a token, 100%" }'));
    await becomes(401);
    const { body, seen } = await app.ask('/');
    assert.equal(body, 'UNAUTHENTICATED:deny.shop:come back with a token, 100%');
    assert.equal(seen, undefined, 'the application saw nothing');
    const grpc = await app.ask('/', { 'content-type': 'application/grpc' });
    assert.equal(grpc.status, 200, 'of gRPC the status is in a header of its own');
    assert.equal(grpc.seen, undefined);
  });

  await t.test('is told to whom the rule denies, and not to those whom others do', async () => {
    app.apply(DENIER('{ code: 8, message: closed }', 'request.url_path == "/closed"'));
    await becomes(200);
    // The words are those of the listener, which may be a moment behind the rules.
    const closed = async () => (await app.ask('/closed')).status === 429;
    await waitUntil(closed, 'the rule denies in its own words');
    app.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: other, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: ["/other"] } }] }] }
`);
    const other = async () => (await app.ask('/other')).status === 403;
    await waitUntil(other, 'the other policy denies');
    assert.equal((await app.ask('/other')).body, 'RBAC: access denied');
    assert.equal((await app.ask('/closed')).body, 'RESOURCE_EXHAUSTED:deny.shop:closed');
  });

  await t.test('a denial by a list is as any other', async () => {
    app.apply(`
apiVersion: config.istio.io/v1alpha2
kind: listchecker
metadata: { name: agents, namespace: shop }
spec: { overrides: ["^bad/", "evil"], entryType: REGEX, blacklist: true }
---
apiVersion: config.istio.io/v1alpha2
kind: listentry
metadata: { name: agent, namespace: shop }
spec: { value: request.useragent }
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: agents, namespace: shop }
spec: { actions: [{ handler: agents.listchecker, instances: [agent.listentry] }] }
`);
    await becomes(403, { 'user-agent': 'bad/1.0' });
    assert.equal((await app.ask('/', { 'user-agent': 'an evil one' })).status, 403);
    assert.equal((await app.ask('/', { 'user-agent': 'not bad/1.0' })).status, 200);
    assert.equal((await app.ask('/')).status, 200);
  });
});
