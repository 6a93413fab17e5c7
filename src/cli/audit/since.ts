import { parseDurationMs } from '#base/duration.ts';
import { usage } from '#cli/calls/call-spelling.ts';

const DAY_MS = 24 * 3_600_000;

/**
 * The instant that `7d`, `24h` or `90s` ago was, or that is written as RFC 3339. Milliseconds since
 * 1970.
 * @throws BulwarkError CLI_USAGE
 */
export function readSince(text: string, nowMs: number): number {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  const agoMs = days === undefined ? parseDurationMs(text) : Number(days) * DAY_MS;
  if (agoMs !== undefined) return nowMs - agoMs;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw usage(`--since ${text} is neither a time such as 24h or 7d, nor an instant`);
}
