import type { BenchResult } from './bench-result.ts';
import { median } from './median.ts';

/** One side: how many there are, and what measures a decision among them once, in nanoseconds. */
interface Side {
  readonly count: number;
  readonly measure: () => number;
}

export interface ManyFewOptions {
  readonly name: string;
  readonly many: Side;
  readonly few: Side;
  /** `a decision under 50 rules` */
  readonly label: (count: number) => string;
  readonly goal: number;
}

const SLICES = 200;
const ROUNDS = 9;

/** What a decision among many costs against one among few. */
export function manyAgainstFew({ name, many, few, label, goal }: ManyFewOptions): BenchResult {
  const oneRound = () => {
    // Both sides take turns in short slices; of each the one that was disturbed least counts.
    const slices = Array.from({ length: SLICES }, () => [many.measure(), few.measure()] as const);
    return {
      many: Math.min(...slices.map(([value]) => value)),
      few: Math.min(...slices.map(([, value]) => value)),
    };
  };
  oneRound();
  const rounds = Array.from({ length: ROUNDS }, oneRound);
  const ratios = rounds.map((round) => round.many / round.few);
  const side = (which: 'many' | 'few', { count }: Side) => ({
    label: label(count),
    value: median(rounds.map((round) => round[which])),
    unit: 'ns',
  });
  return {
    name,
    numerator: side('many', many),
    denominator: side('few', few),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal,
  };
}
