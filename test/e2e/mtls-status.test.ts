// `bulwark mtls` in a mesh of processes: who calls in plaintext is seen, named, and forgotten in
// time; what would fail is said before anybody calls.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import type { MtlsPairView, MtlsPortView, MtlsWorkloadView, StrictVerdict } from '#admin/mtls.ts';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import {
  accountsYaml,
  applicationYaml,
  groupYaml,
  workloadOf,
  yamlOf,
} from '../kit/mesh-objects.ts';
import { httpRequest } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** A caller without a proxy, on an address of its own. */
const LEGACY = '127.0.0.2';
const WINDOW = ['--window', '4s'];

const OBJECTS = yamlOf(
  accountsYaml('legacy'),
  applicationYaml('shop', 'backend', ['http', 'tcp']),
  groupYaml('shop', 'caller'),
  `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: batch, namespace: legacy }
spec: { address: ${LEGACY}, labels: { app: batch } }
`,
);

const PEERS = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: insist, namespace: shop }
spec: { selector: { matchLabels: { app: backend } }, mtls: { mode: STRICT } }
`;

const RULE = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: plain, namespace: shop }
spec: { host: backend, trafficPolicy: { tls: { mode: DISABLE } } }
`;

/** Runs a command to its end. `note`: what it said beside its output. */
async function bulwark(mesh: RealMesh, ...args: readonly string[]) {
  const { code, stdout, stderr } = await mesh.tryCommand(...args);
  return { code, text: stdout, note: stderr };
}

type Port = MtlsPortView & { readonly strict: StrictVerdict };
interface Status {
  readonly workloads: readonly (Omit<MtlsWorkloadView, 'ports'> & {
    readonly ports: readonly Port[];
  })[];
  readonly conflicts: readonly MtlsPairView[];
}

test('bulwark mtls', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const http = await startEchoApp(t, 'backend');
  const { port: db } = await startTcpApp(t);
  const common = { connectionReportInterval: '1s' };
  const backendPorts = [
    { name: 'http', port: http },
    { name: 'tcp', port: db },
  ];
  const backend = await mesh.startAgent('backend', {
    ...common,
    workloads: [workloadOf('backend', { group: 'backend', app: { ports: backendPorts } })],
  });
  const caller = await mesh.startAgent('caller', {
    ...common,
    workloads: [workloadOf('caller', { group: 'caller' })],
  });
  const run = (...args: readonly string[]) => bulwark(mesh, 'mtls', ...args);
  const status = async (...args: readonly string[]): Promise<Status> => {
    const { text } = await run('status', '-o', 'json', ...args);
    return JSON.parse(text) as Status;
  };
  /** The port of the backend that an application port is, once `holds` of it. */
  const portThat = (port: number, holds: (found: Port) => boolean, ...args: readonly string[]) => {
    let last: Port | undefined;
    return waitUntil(
      async () => {
        const { workloads } = await status(...args);
        last = workloads
          .find(({ name }) => name === 'backend')
          ?.ports.find((one) => one.port === port);
        return last && holds(last) ? last : undefined;
      },
      `port ${port}`,
      { withinMs: 60_000, everyMs: 200 },
    ).catch((cause: unknown) => {
      throw new Error(`seen: ${JSON.stringify(last)}`, { cause });
    });
  };
  const listenOf = async (name: string): Promise<number> =>
    (await backend('backend')).ports.inbound.find((one) => one.name === name)?.listen ?? 0;
  const legacy = async (name: string): Promise<Socket> => {
    const port = await listenOf(name);
    const socket = connect({ port, host: '127.0.0.1', localAddress: LEGACY });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const client = new KeepAliveClient({ port: (await caller('caller')).ports.httpProxyPort });
  t.after(() => client.close());
  const call = async (): Promise<number> =>
    (await client.ask({ target: 'http://backend.shop/' })).status;

  await t.test('says that nobody came yet, and that this is too early to tell', async () => {
    const { mode, setBy, services, strict, seen } = await portThat(
      http,
      (port) => port.strict.state === 'too-early',
    );
    assert.deepEqual([mode, setBy, seen?.plaintext], ['PERMISSIVE', undefined, 0]);
    assert.deepEqual(services, ['backend.shop.svc.cluster.local']);
    assert.match(strict.reason, /no plaintext yet, watched for \d+s/);
    assert.equal((await run('status', '--check')).code, 1);
    const { note } = await bulwark(mesh, 'proxy-status');
    assert.match(note, /^2 of 2 ports take plaintext \(PERMISSIVE\)/m);
  });

  await t.test('counts callers of the mesh', async () => {
    await waitUntil(async () => (await call()) === 200 || undefined, 'the mesh calls');
    await portThat(http, ({ seen }) => (seen?.tls ?? 0) >= 1 && seen?.plaintext === 0);
  });

  await t.test('sees a plaintext connection while it is open, and names its end', async () => {
    const socket = await legacy('http');
    socket.write(httpRequest('/').replace(/connection: close\r\n/i, ''));
    const { strict } = await portThat(http, ({ seen }) => seen?.open === 1);
    assert.equal(strict.state, 'not-safe');
    socket.destroy();
    const { seen, strict: after } = await portThat(http, ({ seen }) => seen?.open === 0);
    assert.equal(seen?.plaintext, 1);
    assert.deepEqual(seen?.callers[0]?.workloads, ['legacy/batch']);
    assert.match(after.reason, /plaintext from 127\.0\.0\.2 \(legacy\/batch\) \d+s ago/);
  });

  await t.test('names who holds a plaintext connection that is no HTTP', async () => {
    const socket = await legacy('tcp');
    socket.write('hello\n');
    const { seen } = await portThat(db, ({ seen }) => (seen?.callers.length ?? 0) > 0);
    assert.equal(seen?.callers[0]?.address, LEGACY);
    assert.equal(seen?.plaintext, 1);
    socket.destroy();
    assert.deepEqual((await backend('backend')).refusals, [], 'nobody was refused');
  });

  await t.test('says safe when the caller moved to the mesh and the time is over', async () => {
    const isSafe = ({ strict }: Port): boolean => strict.state === 'safe';
    const { seen, strict } = await portThat(http, isSafe, ...WINDOW);
    assert.equal(seen?.plaintext, 1, 'what was seen stays');
    assert.equal(strict.reason, 'no plaintext for 4s');
    await portThat(db, isSafe, ...WINDOW);
    assert.equal((await run('status', '--check', ...WINDOW)).code, 0);
    assert.equal((await run('status', '--check')).code, 1, 'not for 24 h yet');
  });

  await t.test('tells the same after a restart of the server', async () => {
    const since = async (): Promise<string | undefined> =>
      (await status()).workloads.find(({ name }) => name === 'backend')?.observedSince;
    const before = Date.parse((await since()) ?? '');
    await mesh.startServer();
    await portThat(http, ({ seen }) => seen?.plaintext === 1 && seen.tls >= 1);
    const after = Date.parse((await since()) ?? '');
    // Told as a duration, which takes its time to arrive; anew it would be far later.
    assert.ok(Math.abs(after - before) < 5000, `${before} ${after}`);
  });

  await t.test('STRICT then keeps callers of the mesh, and shows who says so', async () => {
    await mesh.apply(PEERS);
    const { setBy } = await portThat(http, ({ strict }) => strict.state === 'strict');
    assert.deepEqual(setBy, { kind: 'PeerAuthentication', namespace: 'shop', name: 'insist' });
    assert.equal(await call(), 200);
    const socket = await legacy('http');
    const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
    socket.write(httpRequest('/'));
    await closed;
    assert.equal(await call(), 200);
    const { code, text } = await run('status', '-n', 'shop', '--check');
    assert.equal(code, 0, text);
    assert.equal((await bulwark(mesh, 'proxy-status')).note, '', 'nothing is left to remind of');
  });

  await t.test('a rule against it is a conflict that names both objects', async () => {
    await mesh.apply(RULE);
    const { conflicts } = await waitUntil(async () => {
      const found = await status();
      return found.conflicts.length === 2 ? found : undefined;
    }, 'the conflict on both ports');
    assert.deepEqual(conflicts[0]?.clientRule?.name, 'plain');
    assert.deepEqual(conflicts[0]?.serverRule?.name, 'insist');
    assert.deepEqual(conflicts[0]?.clients, ['shop/*']);
    const { code, text } = await run('status', '--check', '-n', 'shop');
    t.diagnostic(text);
    assert.equal(code, 1);
    assert.match(text, /DestinationRule shop\/plain against PeerAuthentication shop\/insist/);
    const pairs = await run('pairs', '--conflicts');
    assert.match(pairs.text, /sends plaintext, the server takes mutual TLS only/);
    let last = 0;
    const isRefused = async (): Promise<boolean> => {
      last = await call();
      return last === 503;
    };
    await waitUntil(isRefused, 'and that is what happens', { withinMs: 60_000 }).catch(
      async (cause: unknown) => {
        const { text } = await bulwark(mesh, 'proxy-status');
        throw new Error(`seen: ${last}\n${text}`, { cause });
      },
    );
  });

  await t.test('a rule by which clients send plaintext makes STRICT unsafe', async () => {
    await mesh.api.expect({
      method: 'DELETE',
      path: '/apis/security.istio.io/v1/namespaces/shop/peerauthentications/insist',
    });
    const { strict } = await portThat(http, ({ mode }) => mode === 'PERMISSIVE', ...WINDOW);
    assert.equal(strict.state, 'not-safe');
    assert.match(strict.reason, /DestinationRule shop\/plain/);
    await mesh.api.expect({
      method: 'DELETE',
      path: '/apis/networking.istio.io/v1/namespaces/shop/destinationrules/plain',
    });
    await portThat(http, (port) => port.strict.state === 'safe', ...WINDOW);
  });

  await t.test('what was safe is unknown once nobody looks any more', async () => {
    process.kill(await mesh.agentPid('backend'), 'SIGKILL');
    const { seen } = await portThat(http, (port) => port.strict.state === 'unknown', ...WINDOW);
    assert.equal(seen, undefined);
  });
});

test('a workload whose agent is away is unknown, never safe', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(`${OBJECTS}---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: backend, namespace: shop }
spec: { address: 10.0.0.1, ports: { http: 80 }, labels: { app: backend }, serviceAccount: web }
`);
  const { text } = await bulwark(mesh, 'mtls', 'status', '-n', 'shop');
  assert.match(
    text,
    /^shop\/backend +80 +PERMISSIVE +\(default\) +\? +\? +unknown: not connected$/m,
  );
});
