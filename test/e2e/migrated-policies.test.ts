// Objects that `bulwark migrate` makes decide in the real Envoy as those that they were made of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { migrate } from '#policy/migrate/migrate.ts';
import { type GuardedApp, startGuardedApp } from '../kit/guarded-app.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

const one = new TokenIssuer('https://one.test');
const two = new TokenIssuer('https://two.test');

const POLICY = (spec: string) => `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: backend, namespace: shop }
spec:
  targets: [{ name: backend }]
  peers: [{ mtls: { mode: PERMISSIVE } }]
${spec}
`;
const JWT = (issuer: TokenIssuer, more = '') =>
  `{ jwt: { issuer: "${issuer.issuer}", jwks: '${issuer.keySet}' ${more} } }`;
const ROLES = `
---
apiVersion: rbac.istio.io/v1alpha1
kind: ClusterRbacConfig
metadata: { name: default }
spec: { mode: 'ON' }
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRole
metadata: { name: reader, namespace: shop }
spec: { rules: [{ services: [backend], methods: [GET], paths: [/a, /healthz] }] }
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRoleBinding
metadata: { name: readers, namespace: shop }
spec:
  subjects: [{ user: "https://one.test/alice" }]
  roleRef: { kind: ServiceRole, name: reader }
`;

const TRIGGERS = ', triggerRules: [{ excludedPaths: [{ exact: /healthz }, { prefix: /public/ }] }]';

const CASES: Readonly<Record<string, string>> = {
  'one token of two issuers': POLICY(`  origins: [${JWT(one)}, ${JWT(two)}]`),
  'paths that need no token': POLICY(`  origins: [${JWT(one, TRIGGERS)}]`),
  'roles of end users': POLICY(
    `  origins: [${JWT(one)}]\n  principalBinding: USE_ORIGIN\n${ROLES}`,
  ),
};

const TARGETS = ['/', '/a', '/healthz', '/healthz/x', '/public/', '/public/x?y', '/publicity'];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const REQUESTS = TARGETS.flatMap((target) =>
  [
    ['no token', {}],
    ['a token of one', bearer(one.token())],
    ['a token of alice', bearer(one.token({ claims: { sub: 'alice' } }))],
    ['a token of two', bearer(two.token())],
  ].map(([who, headers]) => ({ who, target, headers: headers as Record<string, string> })),
);

/** What becomes of every request; whether one is refused with 401 or 403 is told apart before. */
async function verdicts(app: GuardedApp): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { who, target, headers } of REQUESTS) {
    const { status } = await app.ask(target, headers);
    const isRefused = status === 401 || status === 403;
    found[`${target} with ${who}`] = isRefused ? 'refused' : String(status);
  }
  return found;
}

for (const [name, yaml] of Object.entries(CASES)) {
  test(`${name}: the same requests are let in`, { timeout: 240_000 }, async (t) => {
    const app = await startGuardedApp(t);
    const becomes = (status: number) =>
      waitUntil(async () => (await app.ask('/')).status === status, `${status} without a token`);
    app.apply(yaml);
    await becomes(401);
    const all = await verdicts(app);
    const values = Object.values(all);
    assert.ok(values.includes('refused') && values.includes('200'), JSON.stringify(all));

    const { made, isProven, findings } = migrate(app.mesh.model.snapshot());
    assert.ok(isProven, JSON.stringify(findings));
    const old = { ...all };
    if (yaml.includes(TRIGGERS)) {
      // A token that nobody takes is looked at on every path, as users are told.
      assert.ok(findings.some(({ message }) => message.includes('is not good is refused')));
      for (const target of TARGETS) old[`${target} with a token of two`] = 'refused';
    }
    app.apply(made.map(({ object }) => JSON.stringify(object)).join('\n---\n'));
    app.remove(yaml);
    // A missing token is told by another status from now on.
    await becomes(403);
    await waitUntil(
      async () => JSON.stringify(await verdicts(app)) === JSON.stringify(old),
      'every request to be decided as before',
    );
    assert.deepEqual(await verdicts(app), old);
  });
}
