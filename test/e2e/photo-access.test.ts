// AZ-1, AZ-6, NS-2: the scenario of the documents, "photo-frontend cannot access datastore", in
// each API that can say it: applied with kubectl, decided by real Envoys.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { Kubectl } from '../kit/kubectl.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const TIERS = [
  { name: 'photo-frontend', namespace: 'photo-ns' },
  { name: 'photo-backend', namespace: 'photo-ns' },
  { name: 'datastore', namespace: 'datastore-ns' },
] as const;
type Tier = (typeof TIERS)[number]['name'];

const FRONTEND = 'cluster.local/ns/photo-ns/sa/photo-frontend';
const BACKEND = 'cluster.local/ns/photo-ns/sa/photo-backend';
const HOST = 'datastore.datastore-ns.svc.cluster.local';

const AUTHORIZATION_POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: datastore, namespace: datastore-ns }
spec:
  selector: { matchLabels: { app: datastore } }
  rules:
  - from: [{ source: { principals: ["${BACKEND}"] } }]
`;
const ROLES = `
apiVersion: rbac.istio.io/v1alpha1
kind: RbacConfig
metadata: { name: default, namespace: istio-system }
spec: { mode: ON_WITH_INCLUSION, inclusion: { namespaces: [datastore-ns] } }
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRole
metadata: { name: datastore-user, namespace: datastore-ns }
spec: { rules: [{ services: ["${HOST}"], methods: ["*"] }] }
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRoleBinding
metadata: { name: photo-backend, namespace: datastore-ns }
spec:
  subjects: [{ user: "${BACKEND}" }]
  roleRef: { kind: ServiceRole, name: datastore-user }
`;
const MATCH = `destination.service.host == "${HOST}" && source.principal == "${FRONTEND}"`;
const MIXER = `
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: { name: deny, namespace: datastore-ns }
spec: { compiledAdapter: denier, params: { status: { code: 7 } } }
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: { name: nothing, namespace: datastore-ns }
spec: { compiledTemplate: checknothing }
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: no-frontend, namespace: datastore-ns }
spec:
  match: ${MATCH}
  actions: [{ handler: deny, instances: [nothing] }]
`;
const OLDER_MIXER = `
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: { name: deny, namespace: istio-system }
spec: { status: { code: 7 } }
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: { name: nothing, namespace: istio-system }
spec:
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: no-frontend, namespace: istio-system }
spec:
  match: ${MATCH}
  actions: [{ handler: deny.denier, instances: [nothing.checknothing] }]
`;
const WHITELIST = `
apiVersion: config.istio.io/v1alpha2
kind: listchecker
metadata: { name: callers, namespace: datastore-ns }
spec: { overrides: ["${BACKEND}"], blacklist: false }
---
apiVersion: config.istio.io/v1alpha2
kind: listentry
metadata: { name: caller, namespace: datastore-ns }
spec: { value: 'source.principal | "nobody"' }
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: callers, namespace: datastore-ns }
spec: { actions: [{ handler: callers.listchecker, instances: [caller.listentry] }] }
`;

/** The three tiers with their Envoys, and what asks a tier from another one. */
async function startTiers(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const files = ['01-namespaces', '02-service-accounts', '03-services', '04-workload-groups'];
  for (const file of files)
    await mesh.apply(readFileSync(join('samples/photo', `${file}.yaml`), 'utf8'));
  const workloads = await Promise.all(
    TIERS.map(async ({ name, namespace }) => ({
      name,
      namespace,
      serviceAccount: name,
      group: name,
      mode: 'explicit',
      app: { ports: [{ name: 'http', port: await startEchoApp(t, name) }] },
    })),
  );
  const status = await mesh.startAgent('agent', { workloads });
  const clients = new Map<Tier, KeepAliveClient>();
  for (const { name } of TIERS) {
    const client = new KeepAliveClient({ port: (await status(name)).ports.httpProxyPort });
    t.after(() => client.close());
    clients.set(name, client);
  }
  const ask = async (from: Tier, to: Tier): Promise<number> => {
    const namespace = TIERS.find(({ name }) => name === to)?.namespace;
    const answer = await clients.get(from)?.ask({ target: `http://${to}.${namespace}/` });
    return answer?.status ?? 0;
  };
  return { mesh, ask };
}

test('photo-frontend cannot access datastore', { timeout: 240_000 }, async (t) => {
  const { mesh, ask } = await startTiers(t);
  const directory = temporaryDirectory(t);
  const kubectl = new Kubectl({ kubeconfig: mesh.kubeconfig, directory });
  const becomes = (status: number) =>
    waitUntil(
      async () => (await ask('photo-frontend', 'datastore')) === status,
      `photo-frontend gets ${status} from datastore`,
    );
  await becomes(200);

  const apis = {
    AuthorizationPolicy: AUTHORIZATION_POLICY,
    'RbacConfig, ServiceRole and ServiceRoleBinding': ROLES,
    "Mixer's rule, handler and instance": MIXER,
    "Mixer's denier and checknothing, for the mesh": OLDER_MIXER,
    "Mixer's listchecker and listentry": WHITELIST,
  };
  for (const [api, objects] of Object.entries(apis)) {
    await t.test(`by ${api}`, async () => {
      const { code, stderr } = await kubectl.run(['apply', '-f', '-'], objects);
      assert.equal(code, 0, stderr);
      assert.equal(stderr, '');
      await becomes(403);
      // Of several objects the first may be in force alone for a moment.
      await waitUntil(
        async () => (await ask('photo-backend', 'datastore')) === 200,
        'photo-backend is let in',
      );
      assert.equal(await ask('photo-frontend', 'photo-backend'), 200);
      await kubectl.output(['delete', '-f', '-'], objects);
      await becomes(200);
    });
  }

  await t.test('agents count what each rule decided', async () => {
    const metrics = await mesh.agentMetrics('agent');
    const counts = (labels: string) =>
      assert.match(metrics, new RegExp(`_policy_decisions_total\\{${labels}\\} [1-9]`));
    counts('policy="datastore-ns/datastore",rule="0",decision="allowed"');
    counts('policy="none",rule="",decision="denied"');
  });

  await t.test('a denial counts beside what another API allows', async () => {
    const allow = AUTHORIZATION_POLICY.replace(BACKEND, 'cluster.local/ns/photo-ns/*');
    await kubectl.output(['apply', '-f', '-'], [allow, MIXER].join('---\n'));
    await becomes(403);
    const isLetIn = async () => (await ask('photo-backend', 'datastore')) === 200;
    await waitUntil(isLetIn, 'photo-backend is let in');
    const isDenied = async () => (await ask('datastore', 'datastore')) === 403;
    await waitUntil(isDenied, 'nobody allows it');
    await kubectl.output(['delete', '-f', '-'], [allow, MIXER].join('---\n'));
    await becomes(200);
  });

  await t.test('what Envoy cannot be asked is refused with its place in the rule', async () => {
    const unknown = MIXER.replace('source.principal', 'source.labels["app"]');
    const { code, stderr } = await kubectl.run(['apply', '-f', '-'], unknown);
    assert.equal(code, 1);
    assert.match(stderr, /spec\.match: .*at column 75: source\.labels is not known to the proxy/);
    await kubectl.run(['delete', '-f', '-'], unknown);
  });

  await t.test('a rule that asks nobody says so in its status', async () => {
    const lonely = MIXER.slice(MIXER.lastIndexOf('---\n') + 4);
    await kubectl.output(['apply', '-f', '-'], lonely);
    const path = '{.status.conditions[?(@.type=="Findings")].message}';
    const said = () =>
      kubectl.output([
        'get',
        'rules',
        'no-frontend',
        '-n',
        'datastore-ns',
        '-o',
        `jsonpath=${path}`,
      ]);
    await waitUntil(
      async () => /there is no denier or listchecker "deny"/.test(await said()),
      'the finding',
    );
    assert.match(await kubectl.output(['get', 'rules', '-A']), /no-frontend +destination\.service/);
  });
});
