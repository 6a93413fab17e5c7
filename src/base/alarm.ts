import type { Clock } from '#base/clock.ts';

/** The longest delay that setInterval takes. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;

/** One for all waits: there may be thousands. */
let waits = 0;
let keepAlive: NodeJS.Timeout | undefined;

/**
 * A wait that somebody may end early, one at a time: as `delay` with a signal, at a tenth of its
 * cost, for those who wait again and again.
 */
export class Alarm {
  readonly #clock: Clock;
  #finish: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after `delayMs`, or at `ring`. Keeps the process alive meanwhile. */
  wait(delayMs: number): Promise<void> {
    this.ring();
    return new Promise((resolve) => {
      waits += 1;
      keepAlive ??= setInterval(() => {}, INTERVAL_MS_MAX);
      const finish = (): void => {
        timer.cancel();
        this.#finish = undefined;
        waits -= 1;
        if (waits === 0) endKeepAlive();
        resolve();
      };
      const timer = this.#clock.after(delayMs, finish);
      this.#finish = finish;
    });
  }

  /** Ends the wait; without one it does nothing, now or later. */
  ring(): void {
    this.#finish?.();
  }
}

function endKeepAlive(): void {
  clearInterval(keepAlive);
  keepAlive = undefined;
}
