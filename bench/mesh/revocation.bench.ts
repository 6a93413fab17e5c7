// How long from writing a revocation until the last of 50 workloads refuses the peer, on the
// connection that it has open to each and in new handshakes: the whole way, with a server, an agent
// and 50 Envoys. What `bulwark cert revoke` needs to start is added in the note.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { bulwark } from '../../test/kit/bulwark.ts';
import { startEchoApp } from '../../test/kit/echo-app.ts';
import { accountsYaml, serviceYaml, strictYaml, yamlOf } from '../../test/kit/mesh-objects.ts';
import { callPeer, exchange, openPeer } from '../../test/kit/peer-call.ts';
import { RealMesh } from '../../test/kit/real-mesh.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';

const WORKLOADS = 50;
const ROUNDS = 5;
/** What users may expect, milliseconds. */
const LIMIT_MS = 1000;
/** Between two looks at each workload; oftener, the looks would be what is measured. */
const EVERY_MS = 100;
const COLLECTION = '/apis/bulwark.mesh/v1alpha1/certificaterevocations';
const REVOCATION = {
  apiVersion: 'bulwark.mesh/v1alpha1',
  kind: 'CertificateRevocation',
  metadata: { name: 'thief' },
  spec: { identity: 'spiffe://cluster.local/ns/shop/sa/thief' },
};
const REQUEST = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n';
const NAMES = Array.from({ length: WORKLOADS }, (_, index) => `web-${index}`);
const OBJECTS = yamlOf(
  accountsYaml('shop', 'thief', 'web'),
  serviceYaml('shop', 'web'),
  strictYaml('shop'),
);

/** Milliseconds from the call of the API. */
interface Times {
  /** Until the last open connection is refused. */
  readonly open: number;
  /** Until the last new handshake is refused. */
  readonly fresh: number;
}

interface Thief {
  readonly certificate: { readonly certificate: string; readonly privateKey: string };
  /** Of the workloads. */
  readonly ports: readonly number[];
}

async function openAll({ certificate, ports }: Thief): Promise<readonly Socket[]> {
  const open = async (port: number): Promise<Socket> => {
    const socket = openPeer({ port, certificate, data: '' });
    await once(socket, 'secureConnect');
    const status = await exchange(socket, REQUEST);
    if (status !== 200) throw new Error(`a peer answered ${status}`);
    return socket;
  };
  return Promise.all(ports.map(open));
}

async function measure(thief: Thief, { api }: RealMesh): Promise<Times> {
  const sockets = await openAll(thief);
  const startMs = performance.now();
  const since = (): number => performance.now() - startMs;
  const look = { everyMs: EVERY_MS, withinMs: 30_000 };
  const written = api.expect({ method: 'POST', path: COLLECTION, body: REVOCATION });
  const refused = sockets.map((socket) =>
    waitUntil(async () => (await exchange(socket, REQUEST)) === 403, 'it is refused', look),
  );
  await Promise.all(refused);
  const open = since();
  const { certificate, ports } = thief;
  const handshakes = ports.map((port) =>
    waitUntil(
      async () => (await callPeer({ port, certificate, data: REQUEST }, /HTTP/)).error,
      'the handshake is refused',
      look,
    ),
  );
  await Promise.all(handshakes);
  const fresh = since();
  await written;
  for (const socket of sockets) socket.destroy();
  await api.send({ method: 'DELETE', path: `${COLLECTION}/thief` });
  const accepted = ports.map((port) =>
    waitUntil(
      async () => /200/.test((await callPeer({ port, certificate, data: REQUEST }, /HTTP/)).text),
      'it is taken again',
      look,
    ),
  );
  await Promise.all(accepted);
  return { open, fresh };
}

/** How long `bulwark cert revoke` runs. */
async function timeCommand(kubeconfig: string): Promise<number> {
  const startMs = performance.now();
  await bulwark(['cert', 'revoke', '--serial', 'ab12', '--kubeconfig', kubeconfig]).ended;
  return performance.now() - startMs;
}

/** Revoked → refused by everybody, against the bound that users are promised. */
export async function bench(): Promise<BenchResult> {
  const cleanUps: (() => unknown)[] = [];
  try {
    const after = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) } as never;
    const mesh = new RealMesh(after);
    const thief = await startMesh(mesh, after);
    const times: Times[] = [];
    for (let round = 0; round < ROUNDS; round += 1) times.push(await measure(thief, mesh));
    const commandMs = await timeCommand(mesh.kubeconfig);
    const open = times.map((one) => one.open).sort((a, b) => a - b);
    const fresh = times.map((one) => one.fresh).sort((a, b) => a - b);
    const [median = 0, freshMedian = 0] = [open, fresh].map((all) => all[ROUNDS >> 1] ?? 0);
    return {
      name: 'revoked peer refused by 50 workloads',
      numerator: { label: 'median, API call → last one refuses', value: median, unit: 'ms' },
      denominator: { label: 'promised', value: LIMIT_MS, unit: 'ms' },
      ratio: median / LIMIT_MS,
      spread: { min: (open[0] ?? 0) / LIMIT_MS, max: (open.at(-1) ?? 0) / LIMIT_MS },
      goal: 1,
      note:
        `on open connections; ${WORKLOADS} new handshakes after ${freshMedian.toFixed(0)} ms; ` +
        `the command itself takes ${commandMs.toFixed(0)} ms`,
    };
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

async function startMesh(
  mesh: RealMesh,
  after: Parameters<typeof startEchoApp>[0],
): Promise<Thief> {
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const app = { ports: [{ name: 'http', port: await startEchoApp(after, 'web') }] };
  const outputCerts = join(mesh.directory, 'certs');
  const own = { namespace: 'shop', mode: 'explicit' };
  const workloads = [
    { ...own, serviceAccount: 'thief', name: 'thief', outputCerts },
    ...NAMES.map((name) => ({ ...own, serviceAccount: 'web', name, group: 'web', app })),
  ];
  const status = await mesh.startAgent('agent', { workloads });
  const all = await Promise.all(NAMES.map(status));
  const read = (name: string): string => readFileSync(join(outputCerts, name), 'utf8');
  return {
    certificate: { certificate: read('cert-chain.pem'), privateKey: read('key.pem') },
    ports: all.map(({ ports }) => ports.inbound[0]?.listen ?? 0),
  };
}
