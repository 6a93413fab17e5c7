// CA-4: what clients do with connections that they have open to a server that is revoked.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, serviceYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const ACCOUNTS = ['caller', 'hasty', 'web', 'other'];
const SERVERS = ['web', 'other'];
const OBJECTS = yamlOf(
  accountsYaml('shop', ...ACCOUNTS),
  ...SERVERS.map((name) => serviceYaml('shop', name, ['http', 'tcp'])),
);
/** Much longer than it takes (bench/mesh/revocation.bench.ts): busy machines must not fail it. */
const WITHIN_MS = 60_000;

/** A connection to an echoing server. */
async function openTcp(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.write('hello');
  await once(socket, 'data');
  return socket;
}

test('a client gives up its connections to a revoked server', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const workload = (name: string, more: object) => ({
    // Longer than the test waits: what ends does not end for that.
    drainDuration: '5m',
    workloads: [workloadOf(name, more)],
  });
  const agents: Awaited<ReturnType<RealMesh['startAgent']>>[] = [];
  for (const name of SERVERS) {
    const ports = [
      { name: 'http', port: await startEchoApp(t, name) },
      { name: 'tcp', port: (await startTcpApp(t)).port },
    ];
    agents.push(await mesh.startAgent(name, workload(name, { group: name, app: { ports } })));
  }
  const [web] = agents;
  assert.ok(web);
  const more = { upstreams: ['web.shop:81'] };
  const status = await mesh.startAgent('caller', workload('caller', more));
  const { ports } = await status('caller');
  const toWeb = ports.upstreams[0]?.listen ?? 0;
  const client = (name: string) => {
    const made = new KeepAliveClient({ port: ports.httpProxyPort });
    t.after(() => made.close());
    return async () => (await made.ask({ target: `http://${name}.shop/` })).status;
  };
  const [askWeb, askOther] = [client('web'), client('other')];
  const cert = (...words: readonly string[]) => mesh.command('cert', ...words);
  const identity = 'spiffe://cluster.local/ns/shop/sa/web';
  await waitUntil(async () => (await askWeb()) === 200, 'the first answer');
  await waitUntil(async () => (await askOther()) === 200, 'the first answer');

  /** Runs while agent and Envoy of the revoked server do nothing: what took it over would not. */
  const withStopped = async (pids: readonly number[], run: () => Promise<void>): Promise<void> => {
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      await run();
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
  };
  const measured = async (what: string, withinMs: number, until: () => Promise<boolean>) => {
    const startMs = performance.now();
    await waitUntil(until, what, { withinMs });
    t.diagnostic(`${what}: ${(performance.now() - startMs).toFixed(0)} ms after the command`);
  };

  await t.test('whose identity is revoked, at the next request', async () => {
    await withStopped([await mesh.agentPid('web')], async () => {
      await cert('revoke', '--identity', identity);
      await measured('HTTP goes there no more', WITHIN_MS, async () => (await askWeb()) === 503);
      assert.equal(await askOther(), 200);
    });
    await cert('unrevoke', '--identity', identity);
    await waitUntil(async () => (await askWeb()) === 200, 'it is back', { withinMs: 60_000 });
  });

  await t.test('of TCP, when they are silent, after the drain time', async () => {
    const ready = await mesh.startAgent('hasty', {
      drainDuration: '1s',
      workloads: [workloadOf('hasty', more)],
    });
    const tcp = await openTcp(t, (await ready('hasty')).ports.upstreams[0]?.listen ?? 0);
    tcp.resume();
    const { envoy } = await web('web');
    await withStopped([await mesh.agentPid('web'), envoy.pid ?? 0], async () => {
      await cert('revoke', '--identity', identity);
      await waitUntil(() => tcp.closed, 'TCP is closed', { withinMs: WITHIN_MS });
    });
    await cert('unrevoke', '--identity', identity);
    await waitUntil(async () => (await askWeb()) === 200, 'it is back', { withinMs: 60_000 });
  });

  for (const what of ['--identity', '--serial'] as const) {
    await t.test(`of TCP, by ${what}, when they are used`, async () => {
      const { certificate, envoy } = await web('web');
      const value = what === '--serial' ? certificate.serial : identity;
      const tcp = await openTcp(t, toWeb);
      await withStopped([await mesh.agentPid('web'), envoy.pid ?? 0], async () => {
        await cert('revoke', what, value);
        const talk = setInterval(() => tcp.write('on'), 5);
        await measured('TCP is closed', WITHIN_MS, async () => tcp.destroyed).finally(() =>
          clearInterval(talk),
        );
      });
      await cert('unrevoke', what, value);
      await waitUntil(async () => (await askWeb()) === 200, 'it is back', { withinMs: 60_000 });
    });
  }
});
