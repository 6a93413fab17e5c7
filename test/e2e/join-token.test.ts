// A machine joins with a token that is good once, and then renews by its own certificate: the real
// server, the real agent, the real Envoy.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { CertificatesView } from '#admin/contract.ts';
import type { AgentStatus } from '#agent/status.ts';
import { bulwark } from '../kit/bulwark.ts';
import type { ManagedProcess } from '../kit/child-process.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;

async function setUp(t: TestContext) {
  const data = join(temporaryDirectory(t), 'data');
  const start = (...args: readonly string[]): ManagedProcess => {
    const child = bulwark(args);
    t.after(() => child.stop());
    return child;
  };
  const ports = ['--secure-port', '0', '--monitoring-port', '0'];
  const server = start('server', '--data', data, ...ports);
  await server.waitForLine((line) => (line.includes('"ready"') ? true : undefined), WITHIN_MS);
  const addresses = JSON.parse(readFileSync(join(data, 'addresses.json'), 'utf8'));
  const kubeconfig = ['--kubeconfig', join(data, 'admin.kubeconfig')];
  const run = async (...args: readonly string[]) => {
    const child = start(...args, ...kubeconfig);
    await waitUntil(() => child.exit !== undefined, `${args[0]} ends`, { withinMs: WITHIN_MS });
    return { code: child.exit?.code, lines: child.lines };
  };
  const objects = join(data, 'objects.yaml');
  writeFileSync(
    objects,
    `
apiVersion: v1
kind: Namespace
metadata: {name: vm-ns}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: db, namespace: vm-ns}
`,
  );
  assert.equal((await run('apply', '-f', objects)).code, 0);
  return { data, start, run, discovery: String(addresses.discovery), server };
}

it('a machine joins by a token that is good once and renews by its certificate', async (t) => {
  const { data, start, run, discovery, server } = await setUp(t);
  const named = ['-n', 'vm-ns', '--service-account', 'db'];
  const made = await run('join', 'create', ...named, '--cidr', '127.0.0.0/8');
  const token = made.lines.find((line) => line.startsWith('bwj_')) ?? assert.fail('no token');
  const config = join(data, 'agent.json');
  const tokenFile = join(data, 'join-token');
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const workload = { namespace: 'vm-ns', serviceAccount: 'db', joinTokenFile: tokenFile };
  const settings = { discoveryAddress: discovery, caRoot: join(data, 'root-cert.pem') };
  const write = (changes: object): void =>
    writeFileSync(config, JSON.stringify({ ...settings, ...changes, workloads: [workload] }));
  write({ secretTtl: '12s', envoyConcurrency: 1, drainDuration: '1s' });
  const agent = start('agent', '-c', config, '-o', 'json', '--log-level', 'info');
  await agent.waitForLine(
    (line) => (line.startsWith('{"ready":true') ? (JSON.parse(line) as AgentStatus) : undefined),
    WITHIN_MS,
  );
  const renewed = (): string | undefined =>
    server.lines.find((line) => line.includes('"method":"certificate"'));
  await waitUntil(() => renewed() !== undefined, 'the certificate renews itself', {
    withinMs: WITHIN_MS,
  });
  assert.match(renewed() ?? '', /ns\/vm-ns\/sa\/db/);
  assert.match((await run('join', 'list')).lines.join('\n'), /db.*127\.0\.0\.0\/8.*from 127/);

  assert.ok(server.lines.some((line) => line.includes('"method":"join-token"')));
  const listed = (await run('cert', 'list', '-o', 'json')).lines.join('\n');
  const { certificates } = JSON.parse(listed) as CertificatesView;
  assert.ok(certificates.some(({ identity }) => identity.endsWith('/ns/vm-ns/sa/db')));
  const own = certificates.find(({ method }) => method === 'control-plane')?.serial ?? '';
  const shown = (await run('cert', 'show', own)).lines.join('\n');
  assert.match(shown, /Proven by: +control-plane server/);

  const root = ['--discovery-address', discovery, '--ca-root', settings.caRoot];
  const thief = start('run', ...named, ...root, '--join-token', token, '--', 'true');
  await waitUntil(() => thief.exit !== undefined, 'the thief ends', { withinMs: WITHIN_MS });
  assert.equal(thief.exit?.code, 1);
  const isTold = () => server.lines.some((line) => line.includes('was used before'));
  await waitUntil(isTold, 'the server says why');
  assert.ok(
    ![...server.lines, ...agent.lines, ...thief.lines].some((line) => line.includes(token)),
  );
});
