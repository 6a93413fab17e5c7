// AN-4, AN-7, AN-8: the keys of issuers are fetched by the control plane, follow the issuer, and
// stay while it is away; rules for tokens come and go under load, and no valid request fails.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ADMIN_PATHS, type JwksView } from '#admin/contract.ts';
import { bulwark } from '../kit/bulwark.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient, SteadyLoad } from '../kit/keep-alive-client.ts';
import { type KeyServer, startKeyServer } from '../kit/key-server.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: shop }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: web, namespace: shop }
spec:
  metadata: { labels: { app: web } }
  template: { serviceAccount: web, ports: { http: 8080 } }
`;

const rule = (issuer: string, name = 'users') => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: ${name}, namespace: shop }
spec:
  jwtRules: [{ issuer: "${issuer}" }]
`;
const RULES = '/apis/security.istio.io/v1/namespaces/shop/requestauthentications';
const LOOPBACK = ['--jwks-allowed-addresses', '127.0.0.0/8'];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Shows keys as an issuer does that can be asked where they are. */
function show(server: KeyServer, keySet: string): void {
  const document = { issuer: server.url, jwks_uri: `${server.url}/keys` };
  server.serve('/.well-known/openid-configuration', JSON.stringify(document));
  server.serve('/keys', keySet);
}

/** A control plane, and one workload that takes plaintext. */
async function startMesh(t: TestContext, ...settings: readonly string[]) {
  const mesh = new RealMesh(t);
  await mesh.startServer(...LOOPBACK, ...settings);
  await mesh.apply(OBJECTS);
  const ports = [{ name: 'http', port: await startEchoApp(t, 'web') }];
  const workload = { namespace: 'shop', serviceAccount: 'web', name: 'web', mode: 'explicit' };
  const status = await mesh.startAgent('web', {
    workloads: [{ ...workload, group: 'web', app: { ports } }],
  });
  const port = (await status('web')).ports.inbound[0]?.listen ?? 0;
  const client = new KeepAliveClient({ port });
  t.after(() => client.close());
  const ask = (token?: string) =>
    client.ask({ target: '/', ...(token === undefined ? {} : { headers: bearer(token) }) });
  const until = (status: number, token: string) =>
    waitUntil(async () => (await ask(token)).status === status, `${status} for a token`);
  const keys = async () =>
    (await mesh.api.expect({ method: 'GET', path: ADMIN_PATHS.jwks })) as JwksView;
  return { mesh, port, ask, until, keys };
}

test('keys follow the issuer, and stay while it is away', { timeout: 120_000 }, async (t) => {
  const server = await startKeyServer(t);
  const old = new TokenIssuer(server.url, { keyId: 'old' });
  const next = new TokenIssuer(server.url, { keyId: 'next' });
  show(server, old.keySet);
  const { mesh, port, ask, until, keys } = await startMesh(t, '--jwks-refresh-interval', '1s');
  await mesh.apply(rule(server.url));
  await until(401, next.token());
  assert.equal((await ask(old.token())).status, 200);
  const [source] = (await keys()).sources;
  assert.equal(source?.state, 'READY');
  assert.deepEqual(source?.usedBy, ['RequestAuthentication shop/users']);

  await t.test('a new key is known before it signs: no valid request fails', async () => {
    const ofOld = { target: '/', headers: bearer(old.token()) };
    const load = new SteadyLoad({ port, ask: ofOld, connections: 2 });
    server.serve('/keys', JSON.stringify({ keys: [old.key, next.key] }));
    await until(200, next.token());
    const { sent, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(sent > 10);
  });

  await t.test('a key that the issuer shows no longer is refused on open connections', async () => {
    server.serve('/keys', next.keySet);
    await until(401, old.token());
    assert.equal((await ask(next.token())).status, 200);
  });

  await t.test('an issuer that is away, or shows something else, changes nothing', async () => {
    server.serve('/keys', '<html>out of order</html>');
    const isStale = async () => (await keys()).sources[0]?.state === 'STALE';
    await waitUntil(isStale, 'the failure is shown');
    assert.equal((await ask(next.token())).status, 200);
    await server.shut();
    await mesh.startServer(...LOOPBACK);
    assert.equal((await ask(next.token())).status, 200);
    await waitUntil(isStale, 'the failure is shown after a restart');
    assert.equal((await ask(next.token())).status, 200);
    assert.equal((await ask(old.token())).status, 401);
    await server.open();
    show(server, next.keySet);
    await waitUntil(async () => !(await isStale()), 'the issuer is heard of again');
  });

  await t.test('the command shows it, and fetches at once', async () => {
    server.serve('/keys', old.keySet);
    const command = bulwark(['jwks', 'refresh', '--kubeconfig', mesh.kubeconfig]);
    await command.ended;
    assert.equal(command.exit?.code, 0, command.tail());
    assert.match(command.tail(), /READY +1 .*RequestAuthentication shop\/users/);
    await until(200, old.token());
  });
});

test('without keys every token is refused, and who has none may come', {
  timeout: 60_000,
}, async (t) => {
  const server = await startKeyServer(t);
  const issuer = new TokenIssuer(server.url);
  const { mesh, ask, until } = await startMesh(t);
  await mesh.apply(rule(server.url));
  await until(401, issuer.token());
  assert.equal((await ask()).status, 200);
  const command = bulwark(['jwks', 'status', '--kubeconfig', mesh.kubeconfig]);
  await command.ended;
  assert.equal(command.exit?.code, 1);
  assert.match(command.tail(), /NO_KEYS/);
  assert.match(command.tail(), /answers 404/);
  // It comes back by itself, within seconds.
  show(server, issuer.keySet);
  await until(200, issuer.token());
});

test('rules come and go under load, and no valid request fails', {
  timeout: 90_000,
}, async (t) => {
  const server = await startKeyServer(t);
  const issuer = new TokenIssuer(server.url);
  show(server, issuer.keySet);
  const other = await startKeyServer(t);
  const late = new TokenIssuer(other.url);
  show(other, late.keySet);
  const { mesh, port, until } = await startMesh(t);
  const valid = { target: '/', headers: bearer(issuer.token()) };
  const load = new SteadyLoad({ port, ask: valid, connections: 4 });
  for (let round = 0; round < 3; round += 1) {
    await mesh.apply(rule(server.url));
    await until(401, 'garbage');
    await mesh.apply(rule(other.url, 'others'));
    await until(200, late.token());
    await mesh.api.expect({ method: 'DELETE', path: `${RULES}/others` });
    await until(401, late.token());
    await mesh.api.expect({ method: 'DELETE', path: `${RULES}/users` });
    await until(200, 'garbage');
  }
  const { sent, failures } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(sent > 100, String(sent));
});

test('a token of any of the issuers of a Policy is enough, with keys that were fetched', {
  timeout: 60_000,
}, async (t) => {
  const asked = await startKeyServer(t);
  const discovered = new TokenIssuer(asked.url);
  show(asked, discovered.keySet);
  const named = new TokenIssuer('https://issuer.example');
  asked.serve('/named', named.keySet);
  const { mesh, ask, until, keys } = await startMesh(t);
  await mesh.apply(`
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: web, namespace: shop }
spec:
  targets: [{ name: web }]
  origins:
    - jwt: { issuer: "${discovered.issuer}" }
    - jwt: { issuer: "${named.issuer}", jwksUri: "${asked.url}/named" }
`);
  await until(401, 'garbage');
  await until(200, discovered.token());
  await until(200, named.token());
  assert.equal((await ask()).status, 401);
  assert.equal((await ask(new TokenIssuer(named.issuer).token())).status, 401);
  const { sources } = await keys();
  assert.deepEqual(
    sources.map(({ from, state, usedBy }) => [from, state, usedBy]),
    [
      ['issuer', 'READY', ['Policy shop/web']],
      ['url', 'READY', ['Policy shop/web']],
    ],
  );
});
