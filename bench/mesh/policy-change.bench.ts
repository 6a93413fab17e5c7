// How long from sending a policy to the API until a running Envoy enforces it on open connections
// of every kind, under load: the whole way, with processes of their own and a real Envoy. Fails
// when a request is decided by a mixture of the old and the new policy.
import { once } from 'node:events';
import { ChangingPolicy, REQUEST_KINDS, type RequestKind } from '../../test/kit/changing-policy.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

/** Changes for each kind of request, in both directions together. */
const CHANGES = 40;
/** How often open TCP connections are cut. */
const CUTS = 3;
/** What users may expect (design: "policy change → enforced on a running Envoy"), milliseconds. */
const LIMIT_MS = 100;
/** Between requests of the load, milliseconds. */
const PAUSE_MS = 2;

/** Asks for a path again and again until stopped, and fails when it is decided otherwise once. */
function startLoad(policy: ChangingPolicy, kind: RequestKind, path: string, isAllowed: boolean) {
  const ask = policy.caller(kind);
  let isStopped = false;
  let sent = 0;
  const running = (async () => {
    for (; !isStopped; sent += 1) {
      if ((await ask(path)) !== isAllowed) throw new Error(`a mixture: ${kind} ${path}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return sent;
  })();
  running.catch(() => {}); // told when it is stopped
  return async (): Promise<number> => {
    isStopped = true;
    return running;
  };
}

/** Milliseconds from the call of `change` until `holds`, which is looked at all the time. */
async function timeOf(change: () => Promise<void>, holds: () => Promise<boolean>): Promise<number> {
  const startMs = performance.now();
  const seen = waitUntil(holds, 'the change', { everyMs: 0 }).then(() => performance.now());
  const [endMs] = await Promise.all([seen, change()]);
  return endMs - startMs;
}

async function measureRequests(policy: ChangingPolicy, kind: RequestKind): Promise<number[]> {
  const ask = policy.caller(kind);
  const times: number[] = [];
  for (let change = 0; change < CHANGES; change += 1) {
    const isNew = change % 2 === 0;
    const turn = () => (isNew ? policy.new() : policy.old());
    times.push(await timeOf(turn, async () => (await ask('/new')) === isNew));
    await waitUntil(async () => (await ask('/old')) !== isNew, 'the other half');
  }
  return times;
}

/** How long an open TCP connection lives on that is no longer allowed. */
async function measureCut(policy: ChangingPolicy): Promise<number> {
  await policy.old();
  const socket = await waitUntil(() => policy.tcp(), 'a connection that is allowed');
  const startMs = performance.now();
  const cut = once(socket.resume(), 'close').then(() => performance.now());
  await policy.withoutTcp();
  return (await cut) - startMs;
}

/** Policy sent → enforced, against the bound that users are promised. */
export async function bench(): Promise<BenchResult> {
  const cleanUps: (() => unknown)[] = [];
  const after = { after: (cleanUp: () => unknown) => void cleanUps.push(cleanUp) };
  try {
    const policy = await ChangingPolicy.start(after);
    await policy.old();
    const first = policy.caller('gRPC');
    await waitUntil(async () => !(await first('/never')), 'the first policy');
    const loads = REQUEST_KINDS.flatMap((kind) => [
      startLoad(policy, kind, '/open', true),
      startLoad(policy, kind, '/never', false),
    ]);
    const byKind = new Map<string, readonly number[]>();
    for (const kind of REQUEST_KINDS) byKind.set(kind, await measureRequests(policy, kind));
    const sent = (await Promise.all(loads.map((stop) => stop()))).reduce((sum, one) => sum + one);
    const cuts: number[] = [];
    for (let round = 0; round < CUTS; round += 1) cuts.push(await measureCut(policy));
    return resultOf(byKind, sent, median(cuts));
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

function resultOf(
  byKind: ReadonlyMap<string, readonly number[]>,
  sent: number,
  cutMs: number,
): BenchResult {
  const times = [...byKind.values()].flat().sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor((times.length - 1) * part)] ?? 0;
  const medians = [...byKind].map(([kind, own]) => `${kind} ${median(own).toFixed(0)} ms`);
  return {
    name: 'policy change enforced on open connections',
    numerator: { label: 'median, API call → enforced', value: at(0.5), unit: 'ms' },
    denominator: { label: 'promised', value: LIMIT_MS, unit: 'ms' },
    ratio: at(0.5) / LIMIT_MS,
    spread: { min: at(0) / LIMIT_MS, max: at(1) / LIMIT_MS },
    goal: 1,
    note:
      `${times.length} changes (${medians.join(', ')}), 90 % within ${at(0.9).toFixed(0)} ms; ` +
      `${sent} other requests, none decided by a mixture; open TCP connections are cut after ` +
      `${cutMs.toFixed(0)} ms (drainDuration 1 s)`,
  };
}
