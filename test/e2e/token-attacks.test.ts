import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGuardedApp } from '../kit/guarded-app.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

// What has been tried on the tokens of other meshes, against the real Envoy.

const one = new TokenIssuer('https://one.test', { algorithm: 'RS256' });
const two = new TokenIssuer('https://two.test', { keyId: 'key-2' });
/** Has the issuer and the key id of another, and a key of its own. */
const thief = new TokenIssuer('https://one.test', { algorithm: 'RS256' });
const unknown = new TokenIssuer('https://unknown.test');

const SECONDS = Math.floor(Date.now() / 1000);

const RULES = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec:
  selector: { matchLabels: { app: backend } }
  jwtRules:
    - issuer: https://one.test
      jwks: '${one.keySet}'
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: x-sub, claim: sub }]
    - issuer: https://two.test
      jwks: '${two.keySet}'
      audiences: [shop, store]
`;

interface Case {
  readonly name: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly status: number;
  /** The subject that the application is told of. */
  readonly subject?: string;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const withClaims = (claims: object) => bearer(one.token({ claims: { ...claims } }));
const badSignature = one.token().replace(/.{8}$/, 'AAAAAAAA');

const CASES: readonly Case[] = [
  { name: 'no token', status: 200 },
  { name: 'a valid token', headers: bearer(one.token()), status: 200, subject: 'alice' },
  { name: 'one in the query', target: `/?access_token=${one.token()}`, status: 200 },
  {
    name: 'a token without key id',
    headers: bearer(one.token({ header: { kid: undefined } })),
    status: 200,
  },
  { name: 'a bad signature', headers: bearer(badSignature), status: 401 },
  { name: 'a key of somebody else under the same id', headers: bearer(thief.token()), status: 401 },
  { name: 'alg none', headers: bearer(one.forged({ alg: 'none' }, undefined)), status: 401 },
  {
    name: 'HS256 with the public key',
    headers: bearer(one.forged({ alg: 'HS256' }, one.publicPem)),
    status: 401,
  },
  {
    name: 'a key of its own in the header',
    headers: bearer(thief.token({ header: { jwk: thief.key } })),
    status: 401,
  },
  {
    name: 'jku that leads elsewhere',
    headers: bearer(thief.token({ header: { jku: 'http://127.0.0.1/keys' } })),
    status: 401,
  },
  {
    name: 'x5u that leads elsewhere',
    headers: bearer(thief.token({ header: { x5u: 'http://127.0.0.1/cert' } })),
    status: 401,
  },
  {
    name: 'a key id that is a path',
    headers: bearer(thief.token({ header: { kid: '../../etc/passwd' } })),
    status: 401,
  },
  {
    name: 'an algorithm that is not of the key',
    headers: bearer(one.token({ header: { alg: 'ES256' } })),
    status: 401,
  },
  { name: 'an issuer that nobody knows', headers: bearer(unknown.token()), status: 401 },
  { name: 'garbage', headers: bearer('garbage'), status: 401 },
  { name: 'three empty parts', headers: bearer('..'), status: 401 },
  { name: 'a token of 40 kB', headers: bearer(`${'A'.repeat(40_000)}.A.A`), status: 401 },
  {
    name: 'a token of 100 kB',
    headers: bearer(`${'A'.repeat(100_000)}.A.A`),
    status: 431,
  },
  {
    name: 'a token that expired an hour ago',
    headers: withClaims({ exp: SECONDS - 3600 }),
    status: 401,
  },
  {
    name: 'a token of an issuer whose clock is ahead of ours by less than a minute',
    headers: withClaims({ nbf: SECONDS + 50 }),
    status: 200,
  },
  { name: 'a token for tomorrow', headers: withClaims({ nbf: SECONDS + 86_400 }), status: 401 },
  {
    name: 'a token without exp',
    headers: withClaims({ exp: undefined }),
    status: 200,
    subject: 'alice',
  },
  {
    name: 'a token without audience where one is asked for',
    headers: bearer(two.token()),
    status: 403,
  },
  {
    name: 'another audience',
    headers: bearer(two.token({ claims: { aud: 'bank' } })),
    status: 403,
  },
  {
    name: 'the audience as text',
    headers: bearer(two.token({ claims: { aud: 'shop' } })),
    status: 200,
  },
  {
    name: 'the audience in a list',
    headers: bearer(two.token({ claims: { aud: ['bank', 'store'] } })),
    status: 200,
  },
  {
    name: 'a valid token here and a bad one there',
    headers: bearer(one.token()),
    target: '/?access_token=garbage',
    status: 401,
  },
  {
    name: 'headers that only the proxy may set',
    headers: { 'x-payload': 'e30', 'x-sub': 'root' },
    status: 200,
  },
];

test('tokens that are good, bad, and made to look good', { timeout: 240_000 }, async (t) => {
  const app = await startGuardedApp(t);
  app.apply(RULES);
  await waitUntil(
    async () => (await app.ask('/', bearer('garbage'))).status === 401,
    'the rules count',
  );
  for (const { name, headers = {}, target = '/', status, subject } of CASES) {
    await t.test(name, async () => {
      const answer = await app.ask(target, headers);
      assert.equal(answer.status, status, answer.body);
      if (status === 200 && subject !== undefined)
        assert.equal(answer.seen?.headers['x-sub'], subject);
      if (headers['x-sub'] !== undefined) {
        assert.equal(answer.seen?.headers['x-sub'], undefined);
        assert.equal(answer.seen?.headers['x-payload'], undefined);
      }
    });
  }
});

test('a token of one issuer, or for one service, opens nothing of another', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  const ofOthers = RULES.replace('name: users', 'name: others')
    .replace('app: backend', 'app: other')
    .replaceAll('https://one.test', unknown.issuer)
    .replace(one.keySet, unknown.keySet);
  app.apply(`${RULES}---${ofOthers}---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: users, namespace: shop }
spec: { rules: [{ from: [{ source: { requestPrincipals: ["https://one.test/alice"] } }] }] }
`);
  const statusOf = async (token: string) => (await app.ask('/', bearer(token))).status;
  await waitUntil(async () => (await statusOf('garbage')) === 401, 'the rules count');
  await waitUntil(async () => (await app.ask('/')).status === 403, 'the policy counts');
  assert.equal(await statusOf(one.token()), 200);
  assert.equal(await statusOf(two.token({ claims: { aud: 'shop' } })), 403, 'the same subject');
  const named = { aud: 'shop', sub: 'https://one.test/alice' };
  assert.equal(await statusOf(two.token({ claims: named })), 403, 'the other issuer as subject');
  assert.equal(await statusOf(one.token({ subject: 'bob/../alice' })), 403);
  assert.equal(await statusOf(one.token({ subject: 'alice/' })), 403);
  const claimed = { aud: 'shop', iss: 'https://one.test' };
  assert.equal(await statusOf(two.token({ claims: claimed })), 401, 'the issuer of another key');
  assert.equal(await statusOf(unknown.token()), 401, 'a token for another service');
});

/** What Envoy allows clocks to differ by. */
const CLOCK_SKEW_SECONDS = 60;

test('a token that was taken is refused once it has expired', { timeout: 240_000 }, async (t) => {
  const app = await startGuardedApp(t);
  app.apply(RULES);
  const statusOf = async (token: string) => (await app.ask('/', bearer(token))).status;
  await waitUntil(async () => (await statusOf('garbage')) === 401, 'the rules count');
  const exp = Math.floor(Date.now() / 1000) - CLOCK_SKEW_SECONDS + 6;
  const token = one.token({ claims: { exp } });
  assert.equal(await statusOf(token), 200);
  assert.equal(await statusOf(token), 200, 'remembered by now');
  await waitUntil(async () => (await statusOf(token)) === 401, 'it has expired');
  assert.equal(await statusOf(one.token()), 200);
});
