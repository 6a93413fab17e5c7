// AN-6, AN-8: RequestAuthentication against the real Envoy: where tokens are found, what becomes of
// them, and what authorization sees of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { type GuardedApp, startGuardedApp } from '../kit/guarded-app.ts';
import { callPeer, httpRequest } from '../kit/peer-call.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

const issuer = new TokenIssuer('https://one.test', { algorithm: 'RS256' });
const two = new TokenIssuer('https://two.test');
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const rule = (more = '') => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec:
  jwtRules:
    - issuer: ${issuer.issuer}
      jwks: '${issuer.keySet}'
${more}
`;
const allow = (spec: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: users, namespace: shop }
spec: { rules: [${spec}] }
`;

async function ready(app: GuardedApp, token = 'garbage', status = 401): Promise<void> {
  const isThere = async () => (await app.ask('/', bearer(token))).status === status;
  await waitUntil(isThere, `${status} for a token`);
}

test('tokens are found where the rule says, and nowhere else', { timeout: 240_000 }, async (t) => {
  const app = await startGuardedApp(t);
  app.apply(
    rule(`
      fromHeaders: [{ name: x-token }, { name: x-other, prefix: "Token " }]
      fromParams: [token]
      fromCookies: [session]
      outputPayloadToHeader: x-payload
      outputClaimToHeaders:
        - { header: x-sub, claim: sub }
        - { header: x-team, claim: nested.team }
`),
  );
  const token = issuer.token({ claims: { nested: { team: 'red' } } });
  const garbage = async () => (await app.ask('/', { 'x-token': 'garbage' })).status === 401;
  await waitUntil(garbage, 'the rule counts');
  const cases: readonly [string, string, Readonly<Record<string, string>>][] = [
    ['a header', '/', { 'x-token': token }],
    ['a header with a prefix', '/', { 'x-other': `Token ${token}` }],
    ['a parameter', `/?token=${token}`, {}],
    ['a cookie', '/', { cookie: `a=b; session=${token}` }],
  ];
  for (const [name, target, headers] of cases) {
    const { status, seen } = await app.ask(target, headers);
    assert.equal(status, 200, name);
    assert.equal(seen?.headers['x-sub'], 'alice', name);
    assert.equal(seen?.headers['x-team'], 'red', name);
    const payload = Buffer.from(String(seen?.headers['x-payload']), 'base64url').toString();
    assert.equal(JSON.parse(payload).iss, issuer.issuer);
    assert.equal(seen?.headers['x-token'], undefined, 'the token stays here');
  }
  const elsewhere = await app.ask('/', bearer(token));
  assert.equal(elsewhere.status, 200);
  assert.equal(elsewhere.seen?.headers['x-sub'], undefined);
  for (const headers of [{ 'x-token': 'bad' }, { cookie: 'session=bad' }])
    assert.equal((await app.ask('/', headers)).status, 401);

  await t.test('and the application gets the token when it may', async () => {
    app.apply(rule('      forwardOriginalToken: true'));
    await ready(app);
    const { seen } = await app.ask('/', bearer(token));
    assert.equal(seen?.headers.authorization, `Bearer ${token}`);
  });
});

test('claims reach authorization: names, nested ones, lists, texts with spaces', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  app.apply(rule('      spaceDelimitedClaims: [roles]'));
  await ready(app);
  const claims = {
    groups: ['staff', 'admin'],
    nested: { deep: { team: 'red', teams: ['red', 'blue'] } },
    'https://names.test/role': 'boss',
    roles: 'read write',
    level: 7,
    levels: [1, 2.5],
    admin: false,
    scope: 'open close',
    aud: 'shop',
    azp: 'app',
  };
  const token = issuer.token({ claims });
  const when = (key: string, value: string) =>
    `{ when: [{ key: "${key}", values: ["${value}"] }] }`;
  const from = (principal: string) =>
    `{ from: [{ source: { requestPrincipals: ["${principal}"] } }] }`;
  const cases: readonly [string, boolean][] = [
    [from('https://one.test/alice'), true],
    [from('https://one.test/*'), true],
    [from('*'), true],
    [from('https://one.test/bob'), false],
    [from('https://two.test/*'), false],
    [when('request.auth.principal', 'https://one.test/alice'), true],
    [when('request.auth.audiences', 'shop'), true],
    [when('request.auth.presenter', 'app'), true],
    [when('request.auth.presenter', 'other'), false],
    [when('request.auth.claims[groups]', 'admin'), true],
    [when('request.auth.claims[groups]', 'root'), false],
    [when('request.auth.claims[nested][deep][team]', 'red'), true],
    [when('request.auth.claims[nested][deep][teams]', 'blue'), true],
    [when('request.auth.claims[nested][deep][team]', 'green'), false],
    [when('request.auth.claims[https://names.test/role]', 'boss'), true],
    [when('request.auth.claims[roles]', 'write'), true],
    [when('request.auth.claims[scope]', 'close'), true],
    [when('request.auth.claims[roles]', 'read write'), false],
    [when('request.auth.claims[level]', '7'), true],
    [when('request.auth.claims[level]', '07'), false],
    [when('request.auth.claims[levels]', '2.5'), true],
    [when('request.auth.claims[admin]', 'false'), true],
    [when('request.auth.claims[admin]', 'true'), false],
  ];
  app.apply(allow('{ to: [{ operation: { paths: ["/nothing"] } }] }'));
  await waitUntil(async () => (await app.ask('/')).status === 403, 'a policy counts');
  for (const [index, [spec, allowed]] of cases.entries()) {
    // A path of its own tells when the policy is there.
    app.apply(allow(`${spec}, { to: [{ operation: { paths: ["/mark-${index}"] } }] }`));
    const isThere = async () => (await app.ask(`/mark-${index}`)).status === 200;
    await waitUntil(isThere, 'the policy counts');
    assert.equal((await app.ask('/', bearer(token))).status, allowed ? 200 : 403, spec);
    assert.equal((await app.ask('/')).status, 403, `${spec} without token`);
  }
});

test('a required token is asked for with 401, and tokens may have to expire', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  const others = `
    - issuer: ${two.issuer}
      jwks: '${two.keySet}'`;
  app.apply(rule(`      presence: REQUIRED${others}`));
  const isAsked = async () => (await app.ask('/')).status === 401;
  await waitUntil(isAsked, 'a token is asked for');
  const { text } = await callPeer({ port: app.port, data: httpRequest('/') });
  assert.match(text, /^www-authenticate: Bearer realm="http:\/\/test\/"\r$/m);
  assert.equal((await app.ask('/', bearer(issuer.token()))).status, 200);
  assert.equal((await app.ask('/', bearer(two.token()))).status, 401);

  const endless = issuer.token({ claims: { exp: undefined } });
  assert.equal((await app.ask('/', bearer(endless))).status, 200);
  app.apply(rule('      requireExpiration: true'));
  await waitUntil(async () => !(await isAsked()), 'no token is asked for');
  assert.equal((await app.ask('/', bearer(endless))).status, 401);
  assert.equal((await app.ask('/', bearer(issuer.token()))).status, 200);

  await t.test('in the whole mesh, where its settings say so', async (sub) => {
    const expiring = await startGuardedApp(sub, 'strict', { requireTokenExpiration: true });
    expiring.apply(rule(''));
    await ready(expiring);
    assert.equal((await expiring.ask('/', bearer(endless))).status, 401);
    assert.equal((await expiring.ask('/', bearer(issuer.token()))).status, 200);
  });

  await t.test('but not in the profile of Istio, which does nothing about it', async (sub) => {
    const istio = await startGuardedApp(sub, 'istio');
    istio.apply(rule('      presence: REQUIRED'));
    await ready(istio);
    assert.equal((await istio.ask('/')).status, 200);
  });
});

/** What the header Authorization comes to, by profile: a user, a stranger, or refused. */
const SPELLINGS: readonly [string, Record<HardeningProfile, 'user' | 'stranger' | 'refused'>][] = [
  ['Bearer TOKEN', { strict: 'user', istio: 'user' }],
  ['Bearer  TOKEN', { strict: 'user', istio: 'user' }],
  ['bearer TOKEN', { strict: 'user', istio: 'stranger' }],
  ['BEARER TOKEN', { strict: 'user', istio: 'stranger' }],
  ['bEaReR TOKEN', { strict: 'refused', istio: 'stranger' }],
  ['BearerTOKEN', { strict: 'refused', istio: 'stranger' }],
  ['Bearer', { strict: 'refused', istio: 'stranger' }],
  ['TOKEN', { strict: 'refused', istio: 'stranger' }],
  ['JWT Bearer TOKEN', { strict: 'refused', istio: 'user' }],
  ['Bearer TOKEN x', { strict: 'refused', istio: 'refused' }],
  ['Bearer TOKEN,x', { strict: 'refused', istio: 'refused' }],
  ['Basic dTpw', { strict: 'stranger', istio: 'stranger' }],
];

for (const profile of ['strict', 'istio'] as const) {
  test(`the scheme is read as the profile ${profile} says`, { timeout: 240_000 }, async (t) => {
    const app = await startGuardedApp(t, profile);
    app.apply(rule('      outputClaimToHeaders: [{ header: x-sub, claim: sub }]'));
    await ready(app);
    for (const [spelling, expected] of SPELLINGS) {
      const authorization = spelling.replace('TOKEN', issuer.token());
      const { status, seen } = await app.ask('/', { authorization });
      const outcome = status === 401 ? 'refused' : seen?.headers['x-sub'] ? 'user' : 'stranger';
      assert.equal(outcome, expected[profile], `${spelling}: ${status}`);
    }
  });
}
