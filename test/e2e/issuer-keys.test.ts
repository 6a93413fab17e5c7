// AN-4: the keys of issuers are fetched by the control plane, follow the issuer, and stay while it
// is away.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { bulwark } from '../kit/bulwark.ts';
import { SteadyLoad } from '../kit/keep-alive-client.ts';
import { startKeyServer } from '../kit/key-server.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { bearer, LOOPBACK, showKeys, startTokenMesh } from '../kit/token-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Of an issuer that is slow. */
const ANSWERS_AFTER_MS = 1500;

const rule = (issuer: string) => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec:
  jwtRules: [{ issuer: "${issuer}" }]
`;
test('keys follow the issuer, and stay while it is away', { timeout: 240_000 }, async (t) => {
  const server = await startKeyServer(t);
  const old = new TokenIssuer(server.url, { keyId: 'old' });
  const next = new TokenIssuer(server.url, { keyId: 'next' });
  showKeys(server, old.keySet);
  const { mesh, port, ask, until, keys } = await startTokenMesh(t, '--jwks-refresh-interval', '1s');
  await mesh.apply(rule(server.url));
  await until(401, next.token());
  // Before the keys are there every token is refused.
  await until(200, old.token());
  const [source] = (await keys()).sources;
  assert.equal(source?.state, 'READY');
  assert.deepEqual(source?.usedBy, ['RequestAuthentication shop/users']);

  await t.test('a new key is known before it signs: no valid request fails', async () => {
    const ofOld = { target: '/', headers: bearer(old.token()) };
    const load = new SteadyLoad({ port, ask: ofOld, connections: 2 });
    server.serve('/keys', JSON.stringify({ keys: [old.key, next.key] }));
    await until(200, next.token());
    const { failures } = await load.stop(10);
    assert.deepEqual(failures, []);
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
    showKeys(server, next.keySet);
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
  timeout: 240_000,
}, async (t) => {
  const server = await startKeyServer(t);
  const issuer = new TokenIssuer(server.url);
  const { mesh, ask, until } = await startTokenMesh(t);
  await mesh.apply(rule(server.url));
  await until(401, issuer.token());
  assert.equal((await ask()).status, 200);
  const command = bulwark(['jwks', 'status', '--kubeconfig', mesh.kubeconfig]);
  await command.ended;
  assert.equal(command.exit?.code, 1);
  assert.match(command.tail(), /NO_KEYS/);
  assert.match(command.tail(), /answers 404/);
  // It comes back by itself, within seconds.
  showKeys(server, issuer.keySet);
  await until(200, issuer.token());
});

test('an issuer is waited for as long as a rule says', { timeout: 240_000 }, async (t) => {
  const server = await startKeyServer(t);
  const issuer = new TokenIssuer(server.url);
  const slowly = (answer: string) => (_: unknown, response: ServerResponse) => {
    const timer = setTimeout(() => response.end(answer), ANSWERS_AFTER_MS);
    response.on('close', () => clearTimeout(timer));
  };
  server.serve('/keys', slowly(issuer.keySet));
  const { mesh, until, keys } = await startTokenMesh(t);
  const within = (timeout: string) => `${rule(server.url).trimEnd().slice(0, -3)},
      jwksUri: "${server.url}/keys", timeout: ${timeout} }]
`;
  await mesh.apply(within('200ms'));
  const isLate = async () => /no answer in time/.test((await keys()).sources[0]?.error ?? '');
  await waitUntil(isLate, 'the issuer is late');
  // The proxy hears of the rule a moment later.
  await until(401, issuer.token());
  await mesh.apply(within('10s'));
  await until(200, issuer.token());
});

test('a token of any of the issuers of a Policy is enough, with keys that were fetched', {
  timeout: 240_000,
}, async (t) => {
  const asked = await startKeyServer(t);
  const discovered = new TokenIssuer(asked.url);
  showKeys(asked, discovered.keySet);
  const named = new TokenIssuer('https://issuer.example');
  asked.serve('/named', named.keySet);
  const { mesh, ask, until, keys } = await startTokenMesh(t);
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
