// OP-3: "did my change reach everyone?", asked with bulwark apply --wait, bulwark status and
// kubectl wait, of a real Envoy that answers, is stopped, and answers again.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { freePort } from '../kit/free-port.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { Kubectl } from '../kit/kubectl.ts';
import { applicationYaml, policyYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const MESH = yamlOf(
  applicationYaml('shop', 'web'),
  `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders: [{ name: gone, envoyExtAuthzHttp: { service: gone.tools, port: 9000 } }]
`,
);
/** A provider where nothing listens. */
const asking = (port: number): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: gone, namespace: shop }
spec:
  hosts: [gone.tools]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 9000, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
${policyYaml('shop', 'asking', '{ action: CUSTOM, provider: { name: gone }, rules: [{}] }')}
`;
const policy = (app: string, path: string): string => {
  const rule = `{ to: [{ operation: { paths: ["${path}"] } }] }`;
  return policyYaml(
    'shop',
    'callers',
    `{ selector: { matchLabels: { app: ${app} } }, rules: [${rule}] }`,
  );
};
const OBJECT = 'authorizationpolicy.security.istio.io/callers';

async function startShop(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(MESH);
  const app = { ports: [{ name: 'http', port: await startEchoApp(t, 'web') }] };
  const status = await mesh.startAgent('agent', {
    connectionReportInterval: '1s',
    workloads: [workloadOf('web', { name: 'web-1', group: 'web', app })],
  });
  /** Runs bulwark to its end; gives its exit code and what it said. */
  const bulwark = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await mesh.tryCommand(...args);
    return { code, said: `${stdout}${stderr}` };
  };
  const apply = (yaml: string, ...more: readonly string[]) => {
    const file = join(mesh.directory, 'policy.yaml');
    writeFileSync(file, yaml);
    return bulwark('apply', '-f', file, '--wait', ...more);
  };
  return { mesh, status, bulwark, apply };
}

test('whoever applies a policy hears who enforces it', { timeout: 240_000 }, async (t) => {
  const { mesh, status, bulwark, apply } = await startShop(t);

  await t.test(
    'apply --wait ends when the Envoy enforces it, and says after what time',
    async () => {
      const { code, said } = await apply(policy('web', '/a'));
      assert.match(said, new RegExp(`^${OBJECT} enforced on 1 of 1 proxy in \\d+ ms$`, 'm'));
      assert.equal(code, 0);
    },
  );

  await t.test('kubectl wait and bulwark status say the same', async () => {
    const kubectl = new Kubectl(mesh);
    const wait = ['wait', '--for=condition=Reconciled', '-n', 'shop', OBJECT, '--timeout=20s'];
    assert.match(await kubectl.output(wait), /condition met/);
    const { code, said } = await bulwark('status', 'authorizationpolicies', '-n', 'shop');
    assert.match(said, /shop +callers +ENFORCED +enforced on 1 of 1 proxy/);
    assert.equal(code, 0);
  });

  await t.test('an Envoy that does not answer is named, with an exit code of its own', async () => {
    const { pid = 0 } = (await status('web-1')).envoy;
    process.kill(pid, 'SIGSTOP');
    try {
      const { code, said } = await apply(policy('web', '/b'), '--timeout', '1s');
      assert.match(said, /not within 1s: enforced on 0 of 1 proxy; web-1\.shop has not answered/);
      assert.equal(code, 4);
      const asked = await bulwark('status', 'authorizationpolicy', 'callers');
      assert.match(asked.said, /BEHIND/);
      assert.equal(asked.code, 4);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const { code, said } = await apply(policy('web', '/b'));
    assert.match(said, /callers enforced on 1 of 1 proxy$/m);
    assert.equal(code, 0);
  });

  await t.test('a selector that matches nothing is told', async () => {
    const { code, said } = await apply(policy('webb', '/a'));
    assert.match(said, /callers: decides about no workload: none has the labels app=webb/);
    assert.equal(code, 0);
  });

  await t.test('a provider that does not answer is told of once somebody was denied', async () => {
    const { code } = await apply(asking(await freePort()));
    assert.equal(code, 0);
    const client = new KeepAliveClient({ port: (await status('web-1')).ports.httpProxyPort });
    t.after(() => client.close());
    assert.equal((await client.ask({ target: 'http://web.shop/' })).status, 403);
    await waitUntil(async () => {
      const { said } = await bulwark('status', 'authorizationpolicy', 'asking');
      return said.includes('the provider gone gave no answer when web-1.shop asked last');
    }, 'the provider is told of');
  });
});
