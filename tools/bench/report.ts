import type { BenchResult, BenchSide } from '../../bench/bench-result.ts';

/** A number with about four digits that say something. */
function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(4)));
}

function side({ label, value, unit }: BenchSide): [string, string] {
  return [label, `${short(value)} ${unit}`];
}

/** Whether the goal was reached. */
export function goalMet({ ratio, goal }: BenchResult): boolean {
  return ratio <= goal;
}

/** What is wrong with the numbers of a result, or undefined. */
export function problemOf(result: BenchResult): string | undefined {
  const { numerator, denominator, ratio, spread, goal } = result;
  const numbers = [numerator.value, denominator.value, ratio, spread.min, spread.max, goal];
  if (!numbers.every((value) => Number.isFinite(value) && value > 0))
    return 'a figure is missing, zero or no number';
  if (ratio < spread.min || ratio > spread.max) return 'the ratio is outside of its own spread';
  return undefined;
}

/** One result for a person: both sides, ratio, spread and goal, a line each. */
export function formatResult(result: BenchResult): string {
  const { ratio, spread, goal, note } = result;
  const verdict = goalMet(result) ? 'met' : 'missed';
  const rows: [string, string][] = [
    side(result.numerator),
    side(result.denominator),
    ['ratio', `${ratio.toFixed(2)}  (${spread.min.toFixed(2)} to ${spread.max.toFixed(2)})`],
    ['goal', `≤ ${goal}: ${verdict}`],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
  return [result.name, ...lines, ...(note ? [`  ${note}`] : []), ''].join('\n');
}
