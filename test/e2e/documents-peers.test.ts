// Every example of the documents that says how callers prove which workload they are: applied with
// kubectl as it is printed, and real Envoys do what the text beside it says.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { Kubectl } from '../kit/kubectl.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const REVIEWS = `
apiVersion: "authentication.istio.io/v1alpha1"
kind: "Policy"
metadata:
  name: "reviews"
spec:
  targets:
  - name: reviews
  peers:
  - mtls: {}
`;
const MESH_WIDE = `
apiVersion: "authentication.istio.io/v1alpha1"
kind: "MeshPolicy"
metadata:
  name: "default"
spec:
  peers:
  - mtls: {}
`;
const NAMESPACE_WIDE = `
apiVersion: "authentication.istio.io/v1alpha1"
kind: "Policy"
metadata:
  name: "default"
  namespace: "ns1"
spec:
  peers:
  - mtls: {}
`;
/** Parts of a policy, as printed. */
const TARGETS = `
targets:
 - name: product-page
 - name: reviews
   ports:
   - number: 9000
`;
const PEERS = `
 peers:
  - mtls: {}
`;
const MIGRATION = `
peers:
- mTLS:
    mode: PERMISSIVE
`;

/** A policy of parts that are printed alone. */
function policyOf(name: string, namespace: string, ...parts: readonly string[]): string {
  const lines = parts.flatMap((part) => {
    const said = part.split('\n').filter((line) => line !== '');
    const margin = /^ */.exec(said[0] ?? '')?.[0].length ?? 0;
    return said.map((line) => `  ${line.slice(margin)}`);
  });
  return `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: ${name}, namespace: ${namespace} }
spec:
${lines.join('\n')}
`;
}

/** Workload, namespace and ports; each port of a service leads to one of the application. */
const WORKLOADS = [
  { name: 'product-page', namespace: 'default', ports: [9080] },
  { name: 'reviews', namespace: 'default', ports: [9000, 9080] },
  { name: 'details', namespace: 'default', ports: [9080] },
  { name: 'web', namespace: 'ns1', ports: [9080] },
] as const;
/** What is asked about: a port of a service. */
const PLACES = WORKLOADS.flatMap(({ name, namespace, ports }) =>
  ports.map((port) => ({ name, namespace, port, place: `${name}:${port}` })),
);

function objects(): string {
  const accounts = [...WORKLOADS, { name: 'caller', namespace: 'default' }].map(
    ({ name, namespace }) => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: ${namespace} }
`,
  );
  const services = WORKLOADS.map(({ name, namespace, ports }) => {
    const all = ports.map((port) => `{ name: http-${port}, port: ${port} }`);
    return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: ${name} }, ports: [${all.join(', ')}] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: ${name}, namespace: ${namespace} }
spec: { metadata: { labels: { app: ${name} } }, template: { serviceAccount: ${name} } }
`;
  });
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: ns1 }\n';
  return [namespace, ...accounts, ...services].join('---\n');
}

type Mode = 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'nothing';

/** A mesh with the workloads of the examples, and what tells the mode of each of their ports. */
async function startMesh(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(objects());
  const workloads = await Promise.all(
    WORKLOADS.map(async ({ name, namespace, ports }) => ({
      name,
      namespace,
      serviceAccount: name,
      group: name,
      mode: 'explicit',
      app: {
        ports: await Promise.all(
          ports.map(async (port) => ({
            name: `http-${port}`,
            port: await startEchoApp(t, `${name}:${port}`),
          })),
        ),
      },
    })),
  );
  const caller = {
    name: 'caller',
    namespace: 'default',
    serviceAccount: 'caller',
    mode: 'explicit',
  };
  const status = await mesh.startAgent('agent', { workloads: [...workloads, caller] });
  const listening = new Map<string, number>();
  for (const { name, ports } of WORKLOADS) {
    const { inbound } = (await status(name)).ports;
    for (const port of ports) {
      const found = inbound.find((one) => one.name === `http-${port}`);
      listening.set(`${name}:${port}`, found?.listen ?? 0);
    }
  }
  const client = new KeepAliveClient({ port: (await status('caller')).ports.httpProxyPort });
  t.after(() => client.close());
  const modeAt = async ({ name, namespace, port, place }: (typeof PLACES)[number]) => {
    const plain = await callPeer({ port: listening.get(place) ?? 0, data: httpRequest('/') });
    const called = await client.ask({ target: `http://${name}.${namespace}:${port}/` });
    if (called.status !== 200) return 'nothing';
    const { headers } = JSON.parse(called.body) as SeenRequest;
    if (headers['x-forwarded-client-cert'] === undefined) return 'DISABLE';
    return statusOf(plain) === 200 ? 'PERMISSIVE' : 'STRICT';
  };
  return { mesh, modeAt };
}

test('the examples of the documents about peers', { timeout: 240_000 }, async (t) => {
  const { mesh, modeAt } = await startMesh(t);
  const directory = temporaryDirectory(t);
  const kubectl = new Kubectl({ kubeconfig: mesh.kubeconfig, directory });
  /** Waits until each place has its mode; those that are not named are PERMISSIVE. */
  const holds = async (wanted: Readonly<Record<string, Mode>>): Promise<void> => {
    const expected = PLACES.map(({ place }) => `${place} ${wanted[place] ?? 'PERMISSIVE'}`);
    let seen: string[] = [];
    const reached = waitUntil(async () => {
      seen = await Promise.all(PLACES.map(async (at) => `${at.place} ${await modeAt(at)}`));
      return seen.join() === expected.join() || undefined;
    }, `${expected}`);
    await reached.catch((error: unknown) => {
      throw new Error(`seen: ${seen}`, { cause: error });
    });
  };
  const apply = async (...texts: readonly string[]): Promise<string> => {
    const { code, stderr } = await kubectl.run(['apply', '-f', '-'], texts.join('---\n'));
    assert.equal(code, 0, stderr);
    return stderr;
  };
  const remove = (...texts: readonly string[]) =>
    kubectl.output(['delete', '-f', '-'], texts.join('---\n'));

  await t.test('nothing: transport authentication is not needed', () => holds({}));

  await t.test('the policy "reviews": that service must use mutual TLS', async () => {
    assert.equal(await apply(REVIEWS), '');
    await holds({ 'reviews:9000': 'STRICT', 'reviews:9080': 'STRICT' });
    await remove(REVIEWS);
  });

  await t.test('the policy of the mesh affects all services in it', async () => {
    assert.equal(await apply(MESH_WIDE), '');
    await holds(Object.fromEntries(PLACES.map(({ place }) => [place, 'STRICT'])));
    await remove(MESH_WIDE);
  });

  await t.test('the policy of ns1 affects services of ns1 alone', async () => {
    assert.equal(await apply(NAMESPACE_WIDE), '');
    await holds({ 'web:9080': 'STRICT' });
    await remove(NAMESPACE_WIDE);
  });

  await t.test('targets: product-page on any port, reviews on port 9000', async () => {
    const policy = policyOf('both', 'default', TARGETS, PEERS);
    assert.equal(await apply(policy), '');
    await holds({ 'product-page:9080': 'STRICT', 'reviews:9000': 'STRICT' });
    await remove(policy);
  });

  await t.test('the other spellings of mutual TLS mean the same', async () => {
    for (const peers of ['peers:\n- mtls:\n', 'peers:\n- mtls: null\n']) {
      const policy = policyOf('default', 'ns1', peers);
      // kubectl leaves out what is null: the server hears of an entry without content.
      assert.match(await apply(policy), /^Warning: spec\.peers\[0\]: .* taken for mtls: {}/);
      await holds({ 'web:9080': 'STRICT' });
      await remove(policy);
    }
  });

  await t.test('the temporary policy takes both, and the right spelling is said', async () => {
    const migration = policyOf('default', 'ns1', MIGRATION);
    const said = await apply(MESH_WIDE, migration);
    assert.match(said, /Warning: spec\.peers\[0\]\.mTLS: the field is written mtls/);
    const strict = PLACES.filter(({ place }) => place !== 'web:9080');
    await holds(Object.fromEntries(strict.map(({ place }) => [place, 'STRICT'])));
    await remove(MESH_WIDE, migration);
  });

  await t.test('the narrowest policy counts', async () => {
    const open = policyOf('default', 'default', 'peers: []');
    assert.equal(await apply(MESH_WIDE, open, REVIEWS), '');
    await holds({
      'product-page:9080': 'DISABLE',
      'details:9080': 'DISABLE',
      'reviews:9000': 'STRICT',
      'reviews:9080': 'STRICT',
      'web:9080': 'STRICT',
    });
    await remove(MESH_WIDE, open, REVIEWS);
  });

  await t.test(
    'several policies for one service: the same one counts, and both say so',
    async () => {
      const younger = policyOf('another', 'default', 'targets:\n- name: reviews\n');
      await apply(REVIEWS);
      await apply(younger);
      const said = async (name: string) => {
        const path = '{.status.conditions[?(@.type=="Findings")].message}';
        return kubectl.output(['get', 'policies', name, '-o', `jsonpath=${path}`]);
      };
      for (const name of ['reviews', 'another']) {
        await waitUntil(
          async () => /both for the service "reviews": .* counts/.test(await said(name)),
          `the finding on ${name}`,
        );
      }
      // Both were made within the same second at times; then the name decides.
      const first = /"([a-z]+)" counts/.exec(await said('reviews'))?.[1];
      const mode = first === 'reviews' ? 'STRICT' : 'DISABLE';
      await holds({ 'reviews:9000': mode, 'reviews:9080': mode });
      await remove(REVIEWS, younger);
    },
  );

  await t.test('at most one policy for the mesh and one for a namespace', async () => {
    const second = MESH_WIDE.replace('"default"', '"second"');
    const wide = policyOf('wide', 'ns1', PEERS);
    for (const text of [second, wide]) {
      const { code, stderr } = await kubectl.run(['apply', '-f', '-'], text);
      assert.equal(code, 1);
      assert.match(stderr, /must be named "default"/);
    }
  });
});
