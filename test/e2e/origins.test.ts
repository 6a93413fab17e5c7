// AN-4, AN-5, AN-6: `origins` of Policy and MeshPolicy against the real Envoy, as the documents
// have them: several issuers, paths, and whose identity authorization sees.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GuardedApp, startGuardedApp } from '../kit/guarded-app.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

const one = new TokenIssuer('https://one.test');
const two = new TokenIssuer('https://two.test', { algorithm: 'RS256' });
const unknown = new TokenIssuer('https://unknown.test');

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const POLICY = (spec: string) => `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: backend, namespace: shop }
spec:
  targets: [{ name: backend }]
${spec}
`;
const ALLOW = (rules: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: backend, namespace: shop }
spec: { rules: [${rules}] }
`;
const JWT = (issuer: TokenIssuer, more = '') =>
  `{ jwt: { issuer: "${issuer.issuer}", jwks: '${issuer.keySet}' ${more} } }`;

async function statusOf(app: GuardedApp, target: string, token?: string): Promise<number> {
  return (await app.ask(target, token === undefined ? {} : bearer(token))).status;
}

async function until(app: GuardedApp, status: number, target = '/', token?: string) {
  const isThere = async () => (await statusOf(app, target, token)) === status;
  await waitUntil(isThere, `${status} at ${target}`);
}

test('a token of any of the issuers is enough, and one is needed', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  app.apply(POLICY(`  origins: [${JWT(one)}, ${JWT(two)}]`));
  await until(app, 401);
  const { body } = await app.ask('/');
  assert.equal(body, 'Jwt is missing');
  assert.equal(await statusOf(app, '/', one.token()), 200);
  assert.equal(await statusOf(app, '/', two.token()), 200);
  assert.equal(await statusOf(app, '/', unknown.token()), 401);
  assert.equal(await statusOf(app, '/', one.token({ claims: { exp: 1 } })), 401);
  assert.equal(await statusOf(app, `/?access_token=${one.token()}`), 200);
  const { seen } = await app.ask('/', bearer(one.token()));
  assert.ok(seen?.headers.authorization, 'the application gets the token');

  await t.test('unless origins are optional, and then no bad one is taken either', async () => {
    app.apply(POLICY(`  origins: [${JWT(one)}]\n  originIsOptional: true`));
    await until(app, 200);
    assert.equal(await statusOf(app, '/', one.token()), 200);
    assert.equal(await statusOf(app, '/', two.token()), 401);
  });

  await t.test('or a new object selects the workload', async () => {
    app.apply(POLICY(`  origins: [${JWT(one)}]`));
    await until(app, 401);
    const rules = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec: { jwtRules: [{ issuer: "${two.issuer}", jwks: '${two.keySet}' }] }
`;
    app.apply(rules);
    await until(app, 200);
    assert.equal(await statusOf(app, '/', two.token()), 200);
    assert.equal(await statusOf(app, '/', one.token()), 401);
    app.remove(rules);
    await until(app, 401);
  });
});

test('with originIsOptional the profile of Istio takes a bad token for none', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t, 'istio');
  app.apply(POLICY(`  origins: [${JWT(one)}]\n  originIsOptional: true\n`));
  await until(app, 200, '/', two.token());
  app.apply(POLICY(`  origins: [${JWT(one)}]`));
  await until(app, 401, '/', two.token());
});

test('tokens are asked for at the paths that trigger rules say, whatever the query', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  const jwt = (rules: string) => `  origins: [${JWT(one, `, triggerRules: ${rules}`)}]`;
  const asked = async (targets: readonly string[]) => {
    const statuses = await Promise.all(targets.map((target) => statusOf(app, target)));
    return targets.filter((_, index) => statuses[index] === 401);
  };
  const targets = ['/', '/health', '/health?x', '/healthy', '/api', '/api/x?/health', '/a.css'];

  app.apply(POLICY(jwt('[{ excludedPaths: [{ exact: /health }, { suffix: .css }] }]')));
  await until(app, 401);
  assert.deepEqual(await asked(targets), ['/', '/healthy', '/api', '/api/x?/health']);
  assert.equal(await statusOf(app, '/health', unknown.token()), 200, 'nobody looks at it there');

  app.apply(POLICY(jwt('[{ includedPaths: [{ prefix: /api }, { regex: "/h[a-z]*" }] }]')));
  await until(app, 200);
  assert.deepEqual(await asked(targets), [
    '/health',
    '/health?x',
    '/healthy',
    '/api',
    '/api/x?/health',
  ]);
  assert.equal(await statusOf(app, '/api?x', one.token()), 200);

  await t.test('those of several issuers each at its own', async () => {
    const only = (issuer: TokenIssuer, rule: string) => JWT(issuer, `, triggerRules: [${rule}]`);
    const admin = only(one, '{ includedPaths: [{ prefix: /admin }] }');
    const rest = only(two, '{ excludedPaths: [{ prefix: /admin }, { exact: /health }] }');
    app.apply(POLICY(`  origins: [${admin}, ${rest}]`));
    await until(app, 401);
    assert.deepEqual(await asked(['/', '/admin', '/admin?x', '/health', '/health/x']), [
      '/',
      '/admin',
      '/admin?x',
      '/health/x',
    ]);
    assert.equal(await statusOf(app, '/admin/x', one.token()), 200);
    assert.equal(await statusOf(app, '/admin/x', two.token()), 401);
    assert.equal(await statusOf(app, '/', two.token()), 200);
    assert.equal(await statusOf(app, '/', one.token()), 401);
  });
});

test('principals are the caller, or with USE_ORIGIN the end user', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  app.apply(ALLOW('{ from: [{ source: { principals: ["https://one.test/alice"] } }] }'));
  app.apply(POLICY(`  origins: [${JWT(one)}]`));
  await until(app, 403, '/', one.token());
  app.apply(POLICY(`  origins: [${JWT(one)}]\n  principalBinding: USE_ORIGIN`));
  await until(app, 200, '/', one.token());
  assert.equal(await statusOf(app, '/', one.token({ subject: 'bob' })), 403);
  assert.equal(await statusOf(app, '/', one.token({ subject: 'x/alice' })), 403);
  assert.equal(await statusOf(app, '/'), 401);

  for (const [principal, allowed] of [
    ['https://one.test/*', true],
    ['https://one.te*', true],
    ['https://one.test/al*', true],
    ['*/alice', true],
    ['*ice', true],
    ['*', true],
    ['https://two*', false],
    ['https://one.test/ali', false],
    ['*/bob', false],
    ['alice', false],
  ] as const) {
    await t.test(`${principal} ${allowed ? 'is' : 'is not'} alice`, async () => {
      // The policy of the case before may allow everything.
      app.apply(ALLOW('{ to: [{ operation: { paths: ["/nothing"] } }] }'));
      await until(app, 403, '/', one.token());
      // A path of its own tells when the policy is there.
      const mark = `/mark-${encodeURIComponent(principal)}`.replaceAll(/[%*]/g, '-');
      const from = `{ from: [{ source: { principals: ["${principal}"] } }] }`;
      app.apply(ALLOW(`${from}, { to: [{ operation: { paths: ["${mark}"] } }] }`));
      await until(app, 200, mark, one.token({ subject: 'nobody' }));
      assert.equal(await statusOf(app, '/', one.token()), allowed ? 200 : 403);
    });
  }
});

/** As it stands in the documents. */
const OF_THE_DOCUMENTS = `
origins:
- jwt:
    issuer: "https://accounts.google.com"
    jwksUri: "https://www.googleapis.com/oauth2/v3/certs"
`;

test('the origins of the documents apply as printed, with their principal binding', {
  timeout: 240_000,
}, async (t) => {
  const app = await startGuardedApp(t);
  const google = new TokenIssuer('https://accounts.google.com');
  const indented = (text: string) => text.replaceAll(/^(?=.)/gm, '  ');
  app.apply(POLICY(indented(`${OF_THE_DOCUMENTS}principalBinding: USE_ORIGIN`)));
  await until(app, 401);
  // The keys of that issuer were not fetched here: nobody is taken for one of its users.
  assert.equal(await statusOf(app, '/', google.token()), 401);
});
