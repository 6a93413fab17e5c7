// How long from sending a policy to the API until a running Envoy enforces it on open connections
// of every kind, under load: the whole way, with processes of their own and a real Envoy. Fails
// when a request is decided by a mixture of the old and the new policy, and when open TCP
// connections live on for longer than promised.
import { once } from 'node:events';
import { ChangingPolicy, REQUEST_KINDS, type RequestKind } from '../../test/kit/changing-policy.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

/** Changes for each kind of request, in both directions together. */
const CHANGES = 40;
/** How often open TCP connections are cut. */
const CUTS = 20;
/** What users may expect (design: "policy change → enforced on a running Envoy"), milliseconds. */
const LIMIT_MS = 100;
/** From a change until nothing of it is left to be done, milliseconds. */
const SETTLE_MS = 500;
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

/** How long an open and silent TCP connection lives on that is no longer allowed. */
async function measureCut(policy: ChangingPolicy): Promise<number> {
  await policy.old();
  await waitUntil(() => policy.tcp(), 'a connection that is allowed');
  // The change before ends connections, too.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
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
    return resultOf(byKind, sent, cuts);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

function resultOf(
  byKind: ReadonlyMap<string, readonly number[]>,
  sent: number,
  cuts: readonly number[],
): BenchResult {
  const times = [...byKind.values(), cuts].flat().sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor((times.length - 1) * part)] ?? 0;
  const worst = Math.max(...[...byKind.values(), cuts].map(median));
  const medians = [...byKind, ['TCP, cut', cuts] as const].map(
    ([kind, own]) => `${kind} ${median(own).toFixed(0)} ms`,
  );
  return {
    name: 'policy change enforced on open connections',
    numerator: { label: 'largest median, API call → enforced', value: worst, unit: 'ms' },
    denominator: { label: 'promised', value: LIMIT_MS, unit: 'ms' },
    ratio: worst / LIMIT_MS,
    spread: { min: at(0) / LIMIT_MS, max: at(1) / LIMIT_MS },
    goal: 1,
    note:
      `${times.length} changes (${medians.join(', ')}), 90 % within ${at(0.9).toFixed(0)} ms; ` +
      `${sent} other requests, none decided by a mixture`,
  };
}
