import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCustomMesh } from '../kit/custom-mesh.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const MANY = 3000;

/** Texts that have little in common, so that nothing about them is written shorter. */
const texts = Array.from({ length: MANY }, (_, at) =>
  ((at * 2_654_435_761) % 2 ** 32).toString(36),
);

function allow(principals: readonly string[], paths: readonly string[]) {
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: large, namespace: shop }
spec:
  rules:
    - from: [{ source: { principals: [${principals}] } }]
      to: [{ operation: { paths: [${paths}] } }]
`);
}

test('a policy of thousands of identities and paths', { timeout: 240_000 }, async (t) => {
  const { apply, ask } = await startCustomMesh(t);
  const principals = texts.map((text) => `cluster.local/ns/n${text}/sa/a`);
  const paths = [...texts.map((text) => `/${text}/x`), '/last'];
  apply(...allow([...principals, 'cluster.local/ns/web/sa/caller'], paths));
  await waitUntil(async () => (await ask('/other')).status === 403, 'the policy is in force');
  assert.equal((await ask('/last')).status, 200);
  assert.equal((await ask(`/${texts[7]}/x?query`)).status, 200);
  assert.equal((await ask(`/${texts[7]}/x/`)).status, 403);
  const accounts = [...texts.map((text) => `n${text}/a`), 'web/caller'];
  apply(
    ...objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: large, namespace: shop }
spec:
  rules:
    - from: [{ source: { serviceAccounts: [${accounts}] } }]
    - from: [{ source: { namespaces: [${texts.map((text) => `n${text}`)}] } }]
`),
  );
  await waitUntil(async () => (await ask('/other')).status === 200, 'the account is let in');
  apply(...allow(principals, paths));
  await waitUntil(async () => (await ask('/last')).status === 403, 'the caller is not one of them');
});

test('of many rules a caller meets those that may match it, whoever it is', {
  timeout: 240_000,
}, async (t) => {
  const NS = 'spiffe://cluster.local/ns';
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const rules = [
    '{ to: [{ operation: { paths: [/all] } }] }',
    ...['a', 'b'].map(
      (name) =>
        `{ from: [{ source: { principals: [cluster.local/ns/web/sa/${name}] } }], to: [{ operation: { paths: [/${name}] } }] }`,
    ),
    '{ from: [{ source: { namespaces: [tools] } }], to: [{ operation: { paths: [/tools] } }] }',
    '{ from: [{ source: { notPrincipals: [cluster.local/ns/web/sa/b] } }], to: [{ operation: { paths: [/not-b] } }] }',
  ];
  const deny = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: many, namespace: shop }
spec: { action: DENY, rules: [${rules}] }
`);
  const settings = { largePolicyRules: rules.length };
  const mesh = new ExplicitMesh(testMesh([...objects, ...deny], settings), testAuthority());
  const ports = { http: await startEchoApp(t, 'backend') };
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports });
  const port = backend.listenPort('http');
  const deniedPaths = async (uris: readonly string[]): Promise<readonly string[]> => {
    const certificate = uris.length > 0 ? mesh.authority.issue({ uris }) : undefined;
    const paths = ['/all', '/a', '/b', '/tools', '/not-b'];
    const statuses = await Promise.all(
      paths.map(async (path) => {
        const call = { port, ...(certificate && { certificate }), data: httpRequest(path) };
        return statusOf(await callPeer(call, /^HTTP\/1\.1 \d{3} /));
      }),
    );
    return paths.filter((_, at) => statuses[at] === 403);
  };
  await waitUntil(async () => (await deniedPaths([])).length > 0, 'the policy is in force');
  const filters = await backend.envoy.admin('/config_dump?resource=ecds_filters');
  assert.match(filters, /ExtensionWithMatcher/, 'the caller is looked up');
  assert.deepEqual(await deniedPaths([`${NS}/web/sa/a`]), ['/all', '/a', '/not-b']);
  assert.deepEqual(await deniedPaths([`${NS}/web/sa/b`]), ['/all', '/b']);
  assert.deepEqual(await deniedPaths([`${NS}/tools/sa/x`]), ['/all', '/tools', '/not-b']);
  assert.deepEqual(await deniedPaths([`${NS}/other/sa/x`]), ['/all', '/not-b']);
  // A look-up that cannot be made must not end with no rule tried.
  assert.deepEqual(await deniedPaths([]), ['/all', '/not-b'], 'plaintext');
  const two = await deniedPaths([`${NS}/other/sa/x`, `${NS}/web/sa/a`]);
  assert.ok(two.includes('/all') && two.includes('/a'), `two names: ${two}`);
});
