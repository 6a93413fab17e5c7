import type { TestContext } from 'node:test';
import { waitUntil } from '../test/kit/wait-until.ts';
import type { BenchResult } from './bench-result.ts';
import { median } from './median.ts';

/** A proxy in one of two states, which are compared by what a request costs it. */
export interface PairedProxy {
  /** Returns when the state is in force. */
  use(state: 'numerator' | 'denominator'): Promise<void>;
  /** One request of the caller that is measured; gives its status. */
  ask(): Promise<number>;
  /** Time on a processor so far, microseconds. */
  cpuUs(): number;
}

export interface PairedCpuOptions {
  readonly name: string;
  /** What is particular to each state, in a few words. */
  readonly numerator: string;
  readonly denominator: string;
  readonly goal: number;
  readonly start: (after: Pick<TestContext, 'after'>) => Promise<PairedProxy>;
}

const ROUNDS = 7;
const REQUESTS = 3000;

/**
 * CPU time of a proxy for a request in one state against another, in alternation on the same
 * connection, so that what else happens on the machine meets both.
 */
export async function pairedCpu(options: PairedCpuOptions): Promise<BenchResult> {
  const cleanUps: (() => unknown)[] = [];
  try {
    const proxy = await options.start({
      after: (cleanUp) => {
        cleanUps.push(cleanUp as () => unknown);
      },
    });
    const rounds: { readonly numerator: number; readonly denominator: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const denominator = await measure(proxy, 'denominator');
      rounds.push({ numerator: await measure(proxy, 'numerator'), denominator });
    }
    return resultOf(rounds, options);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

/** CPU time for one request, microseconds. */
async function measure(proxy: PairedProxy, state: 'numerator' | 'denominator'): Promise<number> {
  await proxy.use(state);
  await settled(proxy);
  const before = proxy.cpuUs();
  for (let sent = 0; sent < REQUESTS; sent += 1)
    if ((await proxy.ask()) !== 200) throw new Error('the caller was refused');
  return (proxy.cpuUs() - before) / REQUESTS;
}

/** Work that a change left to be done is not that of a request. */
async function settled({ cpuUs }: PairedProxy): Promise<void> {
  let last = 0;
  const isQuiet = (): boolean => {
    const before = last;
    last = cpuUs();
    return last - before < QUIET_US;
  };
  await waitUntil(isQuiet, 'the proxy has nothing left to do', {
    withinMs: SETTLE_MS_MAX,
    everyMs: LOOK_MS,
  });
}

const SETTLE_MS_MAX = 30_000;
const LOOK_MS = 300;
/** An idle proxy takes less in `LOOK_MS`. */
const QUIET_US = 10_000;

function resultOf(
  rounds: readonly { readonly numerator: number; readonly denominator: number }[],
  { name, goal, ...labels }: PairedCpuOptions,
): BenchResult {
  const ratios = rounds.map(({ numerator, denominator }) => numerator / denominator);
  const side = (state: 'numerator' | 'denominator') => ({
    label: `Envoy, a request, ${labels[state]}`,
    value: median(rounds.map((round) => round[state])),
    unit: 'µs CPU',
  });
  return {
    name,
    numerator: side('numerator'),
    denominator: side('denominator'),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal,
  };
}
