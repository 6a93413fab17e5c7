// Workloads that have keys and certificates from the agent, and no Envoy: with the real server and
// the real agent.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ADMIN_PATHS, type RootsView } from '#admin/contract.ts';
import { processTree } from '../kit/processes.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';
import { tokenApi } from '../kit/workload-api.ts';

const ACCOUNTS = ['first', 'second'].map(
  (name) => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: default }
`,
);
const WITHIN = { withinMs: 60_000, everyMs: 50 };

test('a workload without an Envoy', async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(ACCOUNTS.join('---'));
  const files = (name: string) => join(mesh.directory, `files-${name}`);
  await mesh.runAgent('agent', {
    envoyPath: '/nowhere/envoy',
    workloads: ['first', 'second'].map((name) => ({
      namespace: 'default',
      serviceAccount: name,
      mode: 'identity',
      outputCerts: files(name),
    })),
  });
  const workload = async (name: string) => {
    const { workloads } = await mesh.agentStatus('agent');
    return workloads.find((one) => one.name === name) ?? assert.fail(`no ${name}`);
  };
  const leaf = (name: string) =>
    new X509Certificate(readFileSync(join(files(name), 'cert-chain.pem')));

  await t.test('is ready with its certificate, and nothing runs beside the agent', async () => {
    const { ready, envoy, identity } = await workload('first');
    assert.deepEqual([ready, envoy], [true, undefined]);
    assert.equal(identity, 'spiffe://cluster.local/ns/default/sa/first');
    assert.match(leaf('second').subjectAltName ?? '', /URI:spiffe:.*\/sa\/second$/);
    const pid = await mesh.agentPid('agent');
    const others = processTree(pid).filter((one) => one !== pid);
    const commands = others.map((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8'));
    assert.ok(!commands.some((command) => command.includes('envoy.json')), commands.join('\n'));
  });

  await t.test('gets tokens by the Workload API', async () => {
    const api = tokenApi(t, (await workload('first')).workloadSocket);
    const { identity } = await api.validate(await api.token('x'), 'x');
    assert.equal(identity, 'spiffe://cluster.local/ns/default/sa/first');
  });

  await t.test('counts when the root is replaced, and follows', async () => {
    const roots = async () =>
      (await mesh.api.expect({ method: 'GET', path: ADMIN_PATHS.roots })) as RootsView;
    const step = (name: string) =>
      mesh.api.expect({
        method: 'POST',
        path: ADMIN_PATHS.roots,
        body: { step: name, leaveBehind: [] },
      });
    await step('prepare');
    assert.equal((await roots()).workloads, 2);
    await waitUntil(async () => (await roots()).missing.length === 0, 'both trust it', WITHIN);
    const before = leaf('first').serialNumber;
    await step('activate');
    await waitUntil(() => leaf('first').serialNumber !== before, 'a new certificate', WITHIN);
  });
});
