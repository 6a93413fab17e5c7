// AN-7, AN-8: rules for tokens of both APIs come and go, and the keys of an issuer change, under
// 500 requests a second: no valid request fails, and once a change holds, none that is not valid
// gets through, on open connections and on new ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { startKeyServer } from '../kit/key-server.ts';
import { type PacedCounts, PacedLoad } from '../kit/paced-load.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { bearer, showKeys, startTokenMesh } from '../kit/token-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const REQUESTS_PER_SECOND = 500;
/** How long it is watched at a time. */
const WATCHED_MS = 1000;
const REFRESH = ['--jwks-refresh-interval', '1s'] as const;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const NEW = '/apis/security.istio.io/v1/namespaces/shop/requestauthentications/users';
const newRule = (...issuers: readonly string[]) => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec: { jwtRules: [${issuers.map((issuer) => `{ issuer: "${issuer}" }`)}] }
`;
const OLD = '/apis/authentication.istio.io/v1alpha1/namespaces/shop/policies/users';
const oldRule = (...issuers: readonly string[]) => `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: users, namespace: shop }
spec:
  targets: [{ name: web }]
  origins: [${issuers.map((issuer) => `{ jwt: { issuer: "${issuer}" } }`)}]
`;

/** Requests with a token that is not valid, on open connections and on new ones. */
function startProbes(port: number, token: () => string) {
  const ask = () => ({ target: '/', headers: bearer(token()) });
  const probes = [
    new PacedLoad({ port, ask, requestsPerSecond: 40, connections: 2 }),
    new PacedLoad({ port, ask, requestsPerSecond: 20 }),
  ];
  /** Statuses of all that is sent in a time. */
  const watch = async (): Promise<Set<number>> => {
    for (const probe of probes) probe.restart();
    await sleep(WATCHED_MS);
    await waitUntil(() => probes.every(({ sent }) => sent > 10), 'it is tried');
    const seen = probes.map((probe) => probe.restart());
    await waitUntil(() => seen.every(isAnswered), 'what was sent is answered');
    return new Set(seen.flatMap(({ answers }) => [...answers.keys()]));
  };
  /** Waits until everything is answered so for a time, and sees that it stays so. */
  const become = async (status: number): Promise<void> => {
    const isSo = async () => isDeepStrictEqual(await watch(), new Set([status]));
    await waitUntil(isSo, `nothing but ${status}`);
    assert.deepEqual(await watch(), new Set([status]));
  };
  return { become, stop: () => Promise.all(probes.map((probe) => probe.stop())) };
}

function isAnswered({ sent, answers }: PacedCounts): boolean {
  return sent === [...answers.values()].reduce((sum, count) => sum + count, 0);
}

function assertNoneFailed({ answers, others, sent, late }: PacedCounts): string {
  assert.deepEqual([...answers.keys()], [200], others.join('\n'));
  assert.equal(answers.get(200), sent);
  return `${sent} valid requests, none failed, ${late} late`;
}

test('rules for tokens come and go under load', { timeout: 240_000 }, async (t) => {
  const server = await startKeyServer(t);
  const issuer = new TokenIssuer(server.url);
  showKeys(server, issuer.keySet);
  const other = await startKeyServer(t);
  const second = new TokenIssuer(other.url);
  showKeys(other, second.keySet);
  const { mesh, port } = await startTokenMesh(t);
  const load = new PacedLoad({
    port,
    ask: () => ({ target: '/', headers: bearer(issuer.token()) }),
    requestsPerSecond: REQUESTS_PER_SECOND,
    connections: 16,
  });
  t.after(() => load.stop());
  const probes = startProbes(port, () => second.token());
  t.after(() => probes.stop());

  for (const { kind, rule, path } of [
    { kind: 'RequestAuthentication', rule: newRule, path: NEW },
    { kind: 'Policy', rule: oldRule, path: OLD },
  ]) {
    await t.test(`${kind}: without a rule nobody looks at tokens`, async () => {
      await probes.become(200);
    });
    await t.test(`${kind}: a rule refuses tokens of other issuers`, async () => {
      await mesh.apply(rule(server.url));
      await probes.become(401);
    });
    await t.test(`${kind}: a rule for a second issuer takes its tokens`, async () => {
      await mesh.apply(rule(server.url, other.url));
      await probes.become(200);
    });
    await t.test(`${kind}: without that rule they are refused again`, async () => {
      await mesh.apply(rule(server.url));
      await probes.become(401);
    });
    await t.test(`${kind}: without any rule nobody looks again`, async () => {
      await mesh.api.expect({ method: 'DELETE', path });
      await probes.become(200);
    });
  }
  t.diagnostic(assertNoneFailed(await load.stop()));
});

test('the keys of an issuer change under load', { timeout: 240_000 }, async (t) => {
  const server = await startKeyServer(t);
  const before = new TokenIssuer(server.url, { keyId: 'before' });
  const after = new TokenIssuer(server.url, { keyId: 'after' });
  showKeys(server, before.keySet);
  const { mesh, port, until } = await startTokenMesh(t, ...REFRESH);
  await mesh.apply(newRule(server.url));
  await until(401, after.token());

  // Each used again and again: what Envoy remembers of a token must not outlive its key.
  const tokens = { before: before.token(), after: after.token() };
  let valid = tokens.before;
  const load = new PacedLoad({
    port,
    ask: () => ({ target: '/', headers: bearer(valid) }),
    requestsPerSecond: REQUESTS_PER_SECOND,
    connections: 16,
  });
  t.after(() => load.stop());
  let other = tokens.after;
  const probes = startProbes(port, () => other);
  t.after(() => probes.stop());

  await t.test('a key that the issuer does not show yet is refused', async () => {
    await probes.become(401);
  });
  await t.test('once shown, it may sign', async () => {
    server.serve('/keys', JSON.stringify({ keys: [before.key, after.key] }));
    await probes.become(200);
    valid = tokens.after;
    other = tokens.before;
  });
  await t.test('a key that the issuer withdrew is refused', async () => {
    await probes.become(200);
    server.serve('/keys', after.keySet);
    await probes.become(401);
  });
  t.diagnostic(assertNoneFailed(await load.stop()));
});
