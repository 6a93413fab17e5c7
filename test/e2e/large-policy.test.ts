import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCustomMesh } from '../kit/custom-mesh.ts';
import { objectsOf } from '../kit/objects.ts';
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

test('a policy of thousands of identities and paths', { timeout: 60_000 }, async (t) => {
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
