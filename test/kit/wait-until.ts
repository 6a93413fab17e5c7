import { setTimeout as pause } from 'node:timers/promises';

export interface WaitOptions {
  /** 10 seconds when left out. */
  readonly withinMs?: number;
  /** Time between two looks, in milliseconds. */
  readonly everyMs?: number;
}

/**
 * Looks again and again until `look` gives something, and gives that: for conditions outside the
 * process that nobody tells us about. A look that throws counts as "not yet".
 * @param what what is waited for, for the error
 * @throws Error that names what was waited for, with the last error as cause
 */
export async function waitUntil<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
  { withinMs = 10_000, everyMs = 10 }: WaitOptions = {},
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
