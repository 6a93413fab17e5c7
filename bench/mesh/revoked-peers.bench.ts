// What a thousand revocations cost everybody else: CPU time of the receiving Envoy for each request
// while so many peers are revoked, against none, in alternation on the same connection.
import type { Socket } from 'node:net';
import { startEchoApp } from '../../test/kit/echo-app.ts';
import { ExplicitMesh } from '../../test/kit/explicit-workload.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../test/kit/objects.ts';
import { exchange, openPeer } from '../../test/kit/peer-call.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { cpuTimeOf } from '../cpu-time.ts';
import { median } from '../median.ts';

const REVOKED = 1000;
const ROUNDS = 7;
const REQUESTS = 3000;
const GOAL = 1.2;
const REQUEST = 'GET / HTTP/1.1\r\nhost: backend\r\n\r\n';
const PROBE = '{ identity: spiffe://cluster.local/ns/web/sa/probe }';

/** The last one is the probe, which tells when a change is there. */
const REVOCATIONS = Array.from({ length: REVOKED }, (_, index) =>
  objectsOf(`
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: r${index} }
spec: ${index === REVOKED - 1 ? PROBE : `{ serial: "${(0xa000 + index).toString(16)}" }`}
`),
).flat();

/** The real Envoy of a workload, and what changes who is revoked. */
async function startWorkload(after: Parameters<typeof startEchoApp>[0]) {
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const http = await startEchoApp(after, 'backend');
  const backend = await mesh.start(after, {
    namespace: 'shop',
    name: 'backend',
    ports: { http },
  });
  const open = (account: string): Socket => {
    const identity = `spiffe://cluster.local/ns/web/sa/${account}`;
    const certificate = mesh.authority.issue({ uris: [identity] });
    const socket = openPeer({ port: backend.listenPort('http'), certificate, data: '' });
    after.after(() => socket.destroy());
    return socket;
  };
  const [caller, probe] = [open('caller'), open('probe')];
  const becomes = (status: number) =>
    waitUntil(async () => (await exchange(probe, REQUEST)) === status, `${status} for the probe`);
  const revoke = async (isOn: boolean): Promise<void> => {
    if (isOn) mesh.mesh.put(...REVOCATIONS);
    else mesh.mesh.remove(...REVOCATIONS);
    mesh.publish();
    await becomes(isOn ? 403 : 200);
  };
  return { caller, revoke, cpuUs: () => cpuTimeOf(backend.envoy.process.pid) };
}

type Workload = Awaited<ReturnType<typeof startWorkload>>;

/** CPU time of Envoy for one request, microseconds. */
async function measure({ caller, cpuUs }: Workload): Promise<number> {
  const before = cpuUs();
  for (let sent = 0; sent < REQUESTS; sent += 1)
    if ((await exchange(caller, REQUEST)) !== 200) throw new Error('the caller was refused');
  return (cpuUs() - before) / REQUESTS;
}

/** A request with a thousand revoked peers, against one without. */
export async function bench(): Promise<BenchResult> {
  const cleanUps: (() => unknown)[] = [];
  const after = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) };
  try {
    const workload = await startWorkload(after as never);
    const rounds: { readonly many: number; readonly none: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await workload.revoke(false);
      const none = await measure(workload);
      await workload.revoke(true);
      rounds.push({ many: await measure(workload), none });
    }
    return resultOf(rounds);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

function resultOf(rounds: readonly { readonly many: number; readonly none: number }[]) {
  const ratios = rounds.map(({ many, none }) => many / none);
  const side = (label: string, values: readonly number[]) => ({
    label: `Envoy, a request, ${label}`,
    value: median(values),
    unit: 'µs CPU',
  });
  return {
    name: 'revoked-peers',
    numerator: side(
      `${REVOKED} peers revoked`,
      rounds.map(({ many }) => many),
    ),
    denominator: side(
      'none revoked',
      rounds.map(({ none }) => none),
    ),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
  };
}
