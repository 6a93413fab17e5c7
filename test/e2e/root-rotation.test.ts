// CA-5: the root of a mesh is replaced while requests run and the server is killed, and none fails;
// nobody is left behind unseen.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ADMIN_PATHS, type RootsView } from '#admin/contract.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { bulwark } from '../kit/bulwark.ts';
import type { ManagedProcess } from '../kit/child-process.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { answersFresh, startHandshakes } from '../kit/fresh-handshakes.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh, startLoad } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = yamlOf(
  accountsYaml('shop', 'caller', 'web'),
  serviceYaml('shop', 'web', ['http', 'tcp']),
  strictYaml('shop'),
);
const HTTP = 'http://web.shop/';

/** A server, and an agent for each of two workloads; `caller` reaches `web` by HTTP and by TCP. */
async function startMesh(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const workload = (name: string, more: object) => ({
    workloads: [workloadOf(name, more)],
  });
  const ports = [
    { name: 'http', port: await startEchoApp(t, 'web') },
    { name: 'tcp', port: await startEchoApp(t, 'web') },
  ];
  await mesh.startAgent('web', workload('web', { group: 'web', app: { ports } }));
  const status = await mesh.startAgent(
    'caller',
    workload('caller', { upstreams: ['web.shop:81'] }),
  );
  const caller = (await status('caller')).ports;
  const tcpPort = caller.upstreams[0]?.listen ?? 0;
  await waitUntil(() => answersFresh(tcpPort), 'the first answer over TCP');
  // From here on a crash of the server does not make it forget them.
  const known = (): string => readFileSync(join(mesh.data, 'ca', 'trust-peers.json'), 'utf8');
  const areKnown = () => ['sa/web"', 'sa/caller"'].every((account) => known().includes(account));
  await waitUntil(areKnown, 'the server knows both', { withinMs: 60_000 });
  return { mesh, httpPort: caller.httpProxyPort, tcpPort };
}

function rotate(t: TestContext, mesh: RealMesh, ...args: readonly string[]): ManagedProcess {
  const command = bulwark(['ca', 'rotate', ...args, '--kubeconfig', mesh.kubeconfig]);
  t.after(() => command.kill());
  return command;
}

async function rotated(t: TestContext, mesh: RealMesh, ...args: readonly string[]): Promise<void> {
  const command = rotate(t, mesh, ...args);
  await command.ended;
  assert.equal(command.exit?.code, 0, command.tail());
}

/** How a step is answered that somebody without credentials asks for. */
async function statusForStranger({ api }: RealMesh): Promise<number> {
  const nobody = { clientCertificate: undefined, clientKey: undefined };
  const stranger = new KubeClient({ ...api.access, ...nobody });
  try {
    const body = { step: 'prepare', leaveBehind: [] };
    return (await stranger.send({ method: 'POST', path: ADMIN_PATHS.roots, body })).status;
  } finally {
    stranger.close();
  }
}

async function rootsOf({ api }: RealMesh): Promise<RootsView> {
  return (await api.expect({ method: 'GET', path: ADMIN_PATHS.roots })) as RootsView;
}

test('the root is replaced under load, and no request and no handshake fails', {
  timeout: 240_000,
}, async (t) => {
  const { mesh, httpPort, tcpPort } = await startMesh(t);
  const [before] = (await rootsOf(mesh)).roots;
  const load = startLoad(t, { port: httpPort, target: HTTP });
  const handshakes = startHandshakes(t, tcpPort);
  for (const step of ['prepare', 'activate', 'taint', 'revoke'] as const) {
    // Killed while it takes the step, at another moment each time; it may have taken it or not.
    const interrupted = rotate(t, mesh, step, '--wait', '1s');
    await mesh.killServer();
    await interrupted.ended;
    await mesh.startServer();
    if ((await rootsOf(mesh)).next === step) await rotated(t, mesh, step);
  }
  const { roots } = await rootsOf(mesh);
  assert.deepEqual(
    roots.map(({ state }) => state),
    ['active'],
  );
  assert.notEqual(roots[0]?.keyId, before?.keyId);
  await waitUntil(() => answersFresh(tcpPort), 'a handshake under the new root alone');
  const { failures } = await load.stop(100);
  assert.deepEqual(failures, []);
  const { count, failed } = await handshakes.stop(100);
  assert.equal(failed, 0, `${failed} of ${count} handshakes`);
  const file = readFileSync(join(mesh.data, 'root-cert.pem'), 'utf8');
  assert.deepEqual(
    parseCertificatesPem(file).map(({ serial }) => serial),
    roots.map(({ serial }) => serial),
    'the file that agents are started with follows',
  );
});

/** Waits until everybody has taken the root that is prepared. */
async function knowsBoth(mesh: RealMesh): Promise<void> {
  const isReady = async () => (await rootsOf(mesh)).missing.length === 0;
  await waitUntil(isReady, 'all trust the next root');
}

test('a workload that was left behind is back as soon as its agent is', {
  timeout: 240_000,
}, async (t) => {
  const { mesh, tcpPort } = await startMesh(t);
  const pid = await mesh.agentPid('web');
  await rotated(t, mesh, 'prepare');
  await knowsBoth(mesh);
  process.kill(pid, 'SIGSTOP');
  try {
    for (const step of ['activate', 'taint'] as const)
      await rotated(t, mesh, step, '--leave-behind', 'web.shop');
    assert.ok(await answersFresh(tcpPort), 'the old root is trusted until it is revoked');
    await rotated(t, mesh, 'revoke', '--leave-behind', 'web.shop');
    await waitUntil(async () => !(await answersFresh(tcpPort)), 'it is cut off, as was asked for');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await waitUntil(() => answersFresh(tcpPort), 'it is back', { withinMs: 60_000, everyMs: 200 });
});

test('a workload that cannot take the new root holds up the rotation, unless it is named', {
  timeout: 240_000,
}, async (t) => {
  const { mesh, tcpPort } = await startMesh(t);
  const pid = await mesh.agentPid('web');
  process.kill(pid, 'SIGSTOP');
  try {
    assert.equal(await statusForStranger(mesh), 403, 'only administrators may ask for a step');
    await rotated(t, mesh, 'prepare');
    const areMissing = async () => (await rootsOf(mesh)).missing.length === 1;
    await waitUntil(areMissing, 'all but one trust the next root');
    const refused = rotate(t, mesh, 'activate', '--wait', '1s');
    await refused.ended;
    assert.equal(refused.exit?.code, 1);
    assert.match(refused.tail(), /web\.shop: it has not taken the roots yet/);
    assert.match(refused.tail(), /--leave-behind/);
    assert.doesNotMatch(refused.tail(), /caller\.shop/);
    assert.equal((await rootsOf(mesh)).next, 'activate', 'nothing has changed');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await rotated(t, mesh, 'activate');
  await rotated(t, mesh, 'abort');
  assert.equal((await rootsOf(mesh)).next, 'activate', 'the old root signs again');
  process.kill(pid, 'SIGSTOP');
  try {
    await rotated(t, mesh, 'activate', '--leave-behind', 'web.shop');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  assert.ok(await answersFresh(tcpPort));
  const outOfOrder = rotate(t, mesh, 'revoke', '--wait', '0s');
  await outOfOrder.ended;
  assert.match(outOfOrder.tail(), /not what comes next/);
});
