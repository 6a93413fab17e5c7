import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN, custom, EVERYTHING, startCustomMesh } from '../kit/custom-mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { callPeer, exchange, openPeer } from '../kit/peer-call.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Waits until a request is answered with a status, which shows that a policy is in force. */
async function inForce(ask: () => Promise<{ readonly status: number }>, status: number) {
  await waitUntil(async () => (await ask()).status === status, `it answers with ${status}`);
}

test('a provider is asked over HTTP', { timeout: 240_000 }, async (t) => {
  const { mesh, web, app, certificate, apply, ask, seen, tcp } = await startCustomMesh(t);
  const denying = (status: number) => ({
    status,
    headers: { 'x-reason': 'because', 'x-other': 'hidden' },
    body: 'no',
  });

  await t.test('and its denial reaches the caller: status, headers and body', async () => {
    web.verdict = () => denying(401);
    const open = openPeer({ port: app.listenPort('http'), certificate, data: '' });
    t.after(() => open.destroy());
    const request = 'GET /admin HTTP/1.1\r\nhost: app\r\n\r\n';
    assert.equal(await exchange(open, request), 200, 'before the policy');
    apply(...custom('c', 'web', ADMIN));
    await waitUntil(async () => (await exchange(open, request)) === 401, 'the policy is in force');
    const denied = await ask('/admin?a=b');
    assert.equal(denied.status, 401);
    assert.equal(denied.body, 'no');
    assert.match(denied.head, /x-reason: because/);
    assert.doesNotMatch(denied.head, /x-other/);
  });

  await t.test('about what its rules match, and about nothing else', async () => {
    web.questions.length = 0;
    assert.equal((await ask('/public')).status, 200);
    assert.deepEqual(web.questions, []);
    for (const path of ['/admin', '//admin', '/x/../admin', '/%61dmin', '/x%2f..%2fadmin'])
      assert.equal((await ask(path)).status, 401, path);
  });

  await t.test(
    'with the query, the headers that it is to see, and those that are added',
    async () => {
      web.questions.length = 0;
      await ask('/admin?foo=bar', 'x-asked: 1\r\nx-role: a\r\nx-role: b\r\nx-secret: 1\r\n');
      const [question] = web.questions;
      assert.equal(question?.path, '/check/admin?foo=bar');
      assert.equal(question?.method, 'POST');
      assert.equal(question?.headers['x-asked'], '1');
      assert.match(String(question?.headers['x-role']), /^a, ?b$/, 'all values');
      assert.equal(question?.headers['x-from'], 'mesh');
      assert.equal(question?.headers['x-secret'], undefined);
      assert.equal(question?.body, '');
    },
  );

  await t.test(
    'and what it says of the caller reaches the application, not what others say',
    async () => {
      web.verdict = () => ({
        status: 200,
        headers: { 'x-user': 'alice', 'x-hidden': '1', 'x-session': 's' },
      });
      const spoofed = 'x-user: mallory\r\nx-user-role: admin\r\n';
      const allowed = await ask('/admin', spoofed);
      assert.equal(allowed.status, 200);
      assert.match(allowed.head, /x-session: s/);
      const { headers } = seen(allowed);
      assert.equal(headers['x-user'], 'alice');
      assert.equal(headers['x-user-role'], undefined);
      assert.equal(headers['x-hidden'], undefined);
      // A path about which it is not asked is no way around that.
      assert.equal(seen(await ask('/public', spoofed)).headers['x-user'], undefined);
    },
  );

  await t.test('and knows nothing of ports that are not HTTP, which stay open', async () => {
    apply(...custom('c', 'web', EVERYTHING));
    await mesh.settled();
    const before = tcp.connections();
    const { text } = await callPeer(
      { port: app.listenPort('tcp'), certificate, data: 'hello' },
      /hello/,
    );
    assert.equal(text, 'hello');
    assert.equal(tcp.connections(), before + 1);
  });

  await t.test('with as much of the body as it may get', async () => {
    web.verdict = ({ body }) => ({ status: body === 'good' ? 200 : 403 });
    apply(...custom('c', 'body', ADMIN));
    await inForce(() => ask('/admin', '', 'good and more'), 200);
    assert.equal((await ask('/admin', '', 'evil')).status, 403);
  });

  await t.test('and DENY and ALLOW count beside it', async () => {
    web.verdict = () => ({ status: 200 });
    const [allow] = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: a, namespace: shop }
spec: { rules: [{ to: [{ operation: { paths: [/public] } }] }] }
`);
    apply(...custom('c', 'web', ADMIN), ...(allow ? [allow] : []));
    await inForce(() => ask('/admin'), 403);
    assert.equal((await ask('/public')).status, 200);
  });
});

test('a provider that cannot be asked', { timeout: 240_000 }, async (t) => {
  const { web, apply, ask, seen } = await startCustomMesh(t);
  web.verdict = () => 'hang';

  await t.test('in time denies with the status that the mesh configuration says', async () => {
    apply(...custom('c', 'impatient', ADMIN));
    await inForce(() => ask('/admin'), 503);
    assert.equal((await ask('/public')).status, 200);
  });

  await t.test('denies when nothing listens there', async () => {
    apply(...custom('c', 'down', ADMIN));
    await inForce(() => ask('/admin'), 403);
  });

  await t.test('lets requests pass when it fails open, without headers in its name', async () => {
    apply(...custom('c', 'lenient', ADMIN));
    await inForce(() => ask('/admin'), 200);
    assert.equal(seen(await ask('/admin', 'x-user: mallory\r\n')).headers['x-user'], undefined);
  });

  await t.test('denies what its rules match when the mesh knows no such provider', async () => {
    for (const provider of ['unheard-of', 'nowhere']) {
      apply(...custom('c', provider, ADMIN));
      await inForce(() => ask('/admin'), 403);
      assert.equal((await ask('/public')).status, 200);
      apply();
      await inForce(() => ask('/admin'), 200);
    }
  });
});

test('a provider is asked over gRPC', { timeout: 240_000 }, async (t) => {
  const { mesh, rpc, web, app, tcp, certificate, apply, ask, seen } = await startCustomMesh(t);

  await t.test('about requests', async () => {
    rpc.verdict = (question) => {
      const { path = '', headers = {} } = question.attributes?.request?.http ?? {};
      if (path === '/admin?ok') return { isAllowed: true, headers: { 'x-user': 'alice' } };
      assert.equal(headers['x-role'], 'a,b');
      return { isAllowed: false, status: 401, headers: { 'x-reason': 'because' }, body: 'no' };
    };
    const [http] = app.proxy.explicit?.inbound ?? [];
    apply(...custom('c', 'rpc', `[{ to: [{ operation: { ports: ["${http?.port}"] } }] }]`));
    const roles = 'x-role: a\r\nx-role: b\r\n';
    await inForce(() => ask('/admin', roles), 401);
    const denied = await ask('/admin', roles);
    assert.match(denied.head, /x-reason: because/);
    assert.equal(denied.body, 'no');
    assert.equal(seen(await ask('/admin?ok', 'x-user: mallory\r\n')).headers['x-user'], 'alice');
    const { source } = rpc.questions[0]?.attributes ?? {};
    assert.equal(source?.principal, 'spiffe://cluster.local/ns/web/sa/caller');
  });

  await t.test('about connections, before the application sees them', async () => {
    rpc.verdict = () => ({ isAllowed: false });
    apply(...custom('c', 'rpc', EVERYTHING));
    const connect = () =>
      callPeer({ port: app.listenPort('tcp'), certificate, data: 'hello' }, /hello/);
    // A first denial would not do: the filter that asks comes before the listener that makes the
    // application wait.
    await mesh.settled();
    const before = tcp.connections();
    assert.equal((await connect()).text, '');
    assert.equal(tcp.connections(), before, 'the application saw nothing');
    rpc.verdict = () => ({ isAllowed: true });
    assert.equal((await connect()).text, 'hello');
  });

  await t.test('and beside another, both of which must agree', async () => {
    const verdicts = { web: true, rpc: true };
    web.verdict = () => ({ status: verdicts.web ? 200 : 418 });
    rpc.verdict = () => ({ isAllowed: verdicts.rpc, status: 402 });
    apply(...custom('one', 'web', EVERYTHING), ...custom('two', 'rpc', ADMIN));
    verdicts.web = false;
    await inForce(() => ask('/public'), 418);
    verdicts.web = true;
    verdicts.rpc = false;
    assert.equal((await ask('/admin')).status, 402);
    assert.equal((await ask('/public')).status, 200);
    verdicts.rpc = true;
    assert.equal((await ask('/admin')).status, 200);
  });
});
