/** A timer that was set; cancel it when it is no longer wanted. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as the rest of the code sees it; comes in through constructors, so that tests can move it.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since 1970-01-01T00:00Z. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. For measuring. */
  monotonicMs(): number;
  /**
   * Calls `callback` once, after `delayMs` milliseconds (at least 0, any length). Does not keep the
   * process alive.
   */
  after(delayMs: number, callback: () => void): Timer;
}

/** The longest delay that setTimeout takes; longer ones fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const dueAt = performance.now() + delayMs;
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = dueAt - performance.now();
      handle = setTimeout(
        () => (leftMs > TIMEOUT_MS_MAX ? arm() : callback()),
        Math.min(Math.max(0, leftMs), TIMEOUT_MS_MAX),
      );
      handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Resolves after `delayMs`, or at once, without error, when `signal` aborts. Keeps the process
 * alive meanwhile.
 */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const alive = setInterval(() => {}, TIMEOUT_MS_MAX);
    const finish = (): void => {
      timer.cancel();
      clearInterval(alive);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.after(delayMs, finish);
    signal?.addEventListener('abort', finish);
  });
}
