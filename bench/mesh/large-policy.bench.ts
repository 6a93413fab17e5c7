// What a policy of a thousand identities and a thousand paths costs: CPU time of the Envoy that
// enforces it for each request, against a policy of one of each, in alternation on one connection.
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

const MANY = 1000;
const ROUNDS = 7;
const REQUESTS = 3000;
const GOAL = 1.1;
const IDENTITY = 'cluster.local/ns/web/sa/caller';
const PATH = '/orders/of/everybody';
const REQUEST = `GET ${PATH} HTTP/1.1\r\nhost: backend\r\n\r\n`;
/** Allowed while the large policy is in force. */
const PROBE = '/probe';

/** A policy in which what is asked for comes last. */
function policy(others: number) {
  const names = Array.from({ length: others }, (_, index) => `${index}`);
  const principals = [...names.map((name) => `cluster.local/ns/team-${name}/sa/app`), IDENTITY];
  const paths = [...names.map((name) => `/orders/of/customer-${name}`), PATH];
  const probe = others > 1 ? [PROBE] : [];
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: backend, namespace: shop }
spec:
  rules:
    - from: [{ source: { principals: [${principals}] } }]
      to: [{ operation: { paths: [${[...probe, ...paths]}] } }]
`);
}

const LARGE = policy(MANY - 1);
const SMALL = policy(0);

async function startWorkload(after: Parameters<typeof startEchoApp>[0]) {
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const http = await startEchoApp(after, 'backend');
  const backend = await mesh.start(after, { namespace: 'shop', name: 'backend', ports: { http } });
  const certificate = mesh.authority.issue({ uris: [`spiffe://${IDENTITY}`] });
  const open = (): Socket => {
    const socket = openPeer({ port: backend.listenPort('http'), certificate, data: '' });
    after.after(() => socket.destroy());
    return socket;
  };
  const [caller, probe] = [open(), open()];
  const use = async (isLarge: boolean): Promise<void> => {
    mesh.mesh.put(...(isLarge ? LARGE : SMALL));
    mesh.publish();
    const request = REQUEST.replace(PATH, PROBE);
    const wanted = isLarge ? 200 : 403;
    await waitUntil(async () => (await exchange(probe, request)) === wanted, 'it is in force');
  };
  return { caller, use, cpuUs: () => cpuTimeOf(backend.envoy.process.pid) };
}

type Workload = Awaited<ReturnType<typeof startWorkload>>;

/** CPU time of Envoy for one request, microseconds. */
async function measure({ caller, cpuUs }: Workload): Promise<number> {
  const before = cpuUs();
  for (let sent = 0; sent < REQUESTS; sent += 1)
    if ((await exchange(caller, REQUEST)) !== 200) throw new Error('the caller was refused');
  return (cpuUs() - before) / REQUESTS;
}

/** A request under the large policy, against one under the small one. */
export async function bench(): Promise<BenchResult> {
  const cleanUps: (() => unknown)[] = [];
  const after = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) };
  try {
    const workload = await startWorkload(after as never);
    const rounds: { readonly large: number; readonly small: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await workload.use(false);
      const small = await measure(workload);
      await workload.use(true);
      rounds.push({ large: await measure(workload), small });
    }
    return resultOf(rounds);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

function resultOf(rounds: readonly { readonly large: number; readonly small: number }[]) {
  const ratios = rounds.map(({ large, small }) => large / small);
  const side = (label: string, values: readonly number[]) => ({
    label: `Envoy, a request, ${label}`,
    value: median(values),
    unit: 'µs CPU',
  });
  return {
    name: 'large-policy',
    numerator: side(
      `${MANY} principals and paths in the policy`,
      rounds.map(({ large }) => large),
    ),
    denominator: side(
      'one of each',
      rounds.map(({ small }) => small),
    ),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
  };
}
