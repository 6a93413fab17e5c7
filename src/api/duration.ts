import { invalid } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { parseDurationMs } from '#base/duration.ts';

/** Fractions of a millisecond that are rounding, not the user's. */
const ROUNDING_MS = 1e-7;

interface DurationOptions {
  /** Whether 0 is allowed too, where it switches something off. */
  readonly zero?: true;
}

function durationProblem(text: string, options: DurationOptions): string | undefined {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined)
    return 'must be a valid duration greater than 1ms, such as 10s or 1h30m';
  if (durationMs === 0 && options.zero) return undefined;
  if (durationMs < 1) return 'must be a valid duration greater than 1ms';
  const whole = Math.abs(durationMs - Math.round(durationMs)) < ROUNDING_MS;
  return whole ? undefined : 'must be in whole milliseconds';
}

/**
 * Reports a duration of Istio's API that is none, or is below a millisecond or not in whole ones.
 */
export function checkDuration(
  text: string | undefined,
  field: string,
  report: Report,
  options: DurationOptions = {},
): void {
  const problem = text === undefined ? undefined : durationProblem(text, options);
  if (problem !== undefined) report(invalid(field, text, problem));
}
