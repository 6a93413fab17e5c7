import { setTimeout as pause } from 'node:timers/promises';

export interface WaitOptions {
  /**
   * `WITHIN_MS` when left out: only a test that fails waits for so long, so it is generous. Less
   * says that more would be a failure on the slowest machine, too.
   */
  readonly withinMs?: number;
  /** Time between two looks, in milliseconds. */
  readonly everyMs?: number;
}

/** What a busy machine may take for anything that a test waits for. */
const WITHIN_MS = 60_000;

/**
 * Looks again and again until `look` gives something, and gives that: for conditions outside the
 * process that nobody tells us about. A look that throws counts as "not yet".
 * @param what what is waited for, for the error
 * @throws Error that names what was waited for, with the last error as cause
 */
export async function waitUntil<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
  { withinMs = WITHIN_MS, everyMs = 10 }: WaitOptions = {},
): Promise<T> {
  const endAt = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endAt) {
      throw new Error(`waited ${withinMs} ms in vain: ${what}`, { cause: last });
    }
    await pause(everyMs);
  }
}
