// What many issuers cost a request with a token: CPU time of the receiving Envoy with rules for ten
// and for a hundred issuers, against one, in alternation on the same connection. Envoy reads a
// token once for each issuer that it tries.
import type { Socket } from 'node:net';
import { startEchoApp } from '../../test/kit/echo-app.ts';
import { ExplicitMesh } from '../../test/kit/explicit-workload.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../test/kit/objects.ts';
import { exchange, openPeer } from '../../test/kit/peer-call.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { TokenIssuer } from '../../test/kit/token-issuer.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { cpuTimeOf } from '../cpu-time.ts';
import { median } from '../median.ts';

const COUNTS = [1, 10, 100] as const;
const ROUNDS = 5;
const REQUESTS = 2000;
const GOAL = 2;

/** One more than there are rules for at most: its tokens are never taken. */
const ISSUERS = Array.from(
  { length: Math.max(...COUNTS) + 1 },
  (_, index) => new TokenIssuer(`https://issuer-${index}.example`, { algorithm: 'ES256' }),
);

function rules(count: number) {
  const each = ISSUERS.slice(0, count).map(
    ({ issuer, keySet }) => `    - { issuer: "${issuer}", jwks: '${keySet}' }`,
  );
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec:
  jwtRules:
${each.join('\n')}
`);
}

/** A request with a token of an issuer. */
function requestOf(index: number): string {
  const token = ISSUERS[index]?.token() ?? '';
  return `GET / HTTP/1.1\r\nhost: backend\r\nauthorization: Bearer ${token}\r\n\r\n`;
}

/** The real Envoy of a workload, and what changes for how many issuers it has rules. */
async function startWorkload(after: Parameters<typeof startEchoApp>[0]) {
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const http = await startEchoApp(after, 'backend');
  const backend = await mesh.start(after, { namespace: 'shop', name: 'backend', ports: { http } });
  const open = (): Socket => {
    const socket = openPeer({ port: backend.listenPort('http'), data: '' });
    after.after(() => socket.destroy());
    return socket;
  };
  const [caller, probe] = [open(), open()];
  const use = async (count: number): Promise<void> => {
    mesh.mesh.put(...rules(count));
    mesh.publish();
    const [last, next] = [requestOf(count - 1), requestOf(count)];
    const isThere = async () =>
      (await exchange(probe, last)) === 200 && (await exchange(probe, next)) === 401;
    await waitUntil(isThere, `rules for ${count} issuers`);
  };
  return { caller, use, cpuUs: () => cpuTimeOf(backend.envoy.process.pid) };
}

type Workload = Awaited<ReturnType<typeof startWorkload>>;

/** CPU time of Envoy for one request with a token of the last issuer, microseconds. */
async function measure({ caller, use, cpuUs }: Workload, count: number): Promise<number> {
  await use(count);
  const request = requestOf(count - 1);
  const before = cpuUs();
  for (let sent = 0; sent < REQUESTS; sent += 1)
    if ((await exchange(caller, request)) !== 200) throw new Error('the token was refused');
  return (cpuUs() - before) / REQUESTS;
}

/** A request with a token where there are rules for ten and a hundred issuers, against one. */
export async function bench(): Promise<BenchResult> {
  const cleanUps: (() => unknown)[] = [];
  const after = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) };
  try {
    const workload = await startWorkload(after as never);
    const rounds: number[][] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const times: number[] = [];
      for (const count of COUNTS) times.push(await measure(workload, count));
      rounds.push(times);
    }
    return resultOf(rounds);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

/** `rounds`: the times of each, in the order of `COUNTS`. */
function resultOf(rounds: readonly (readonly number[])[]): BenchResult {
  const timesOf = (index: number) => rounds.map((times) => times[index] ?? Number.NaN);
  const [one, ten, hundred] = [timesOf(0), timesOf(1), timesOf(2)];
  const ratiosTo = (many: readonly number[]) =>
    many.map((value, round) => value / (one[round] ?? Number.NaN));
  const ratios = ratiosTo(ten);
  const side = (label: string, values: readonly number[]) => ({
    label: `Envoy, a request with a token, ${label}`,
    value: median(values),
    unit: 'µs CPU',
  });
  return {
    name: 'token-issuers',
    numerator: side('10 issuers', ten),
    denominator: side('1 issuer', one),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
    note: `100 issuers: ${median(ratiosTo(hundred)).toFixed(2)} times, ${median(hundred).toFixed(0)} µs`,
  };
}
