import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import type { LogFields, Logger } from '#base/log.ts';

/**
 * Logs refused requests, so many in a second; the rest is counted, and the count goes with the next
 * line. Strangers must not be able to fill a disk.
 */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #secondEndsAtMs = 0;
  #written = 0;
  #left = 0;

  constructor({ log, clock }: { readonly log: Logger; readonly clock: Clock }) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Writes a line at `warn`, unless there were too many in this second. */
  warn(message: string, fields: LogFields): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#secondEndsAtMs) {
      this.#secondEndsAtMs = nowMs + 1000;
      this.#written = 0;
    }
    if (this.#written >= LIMITS.refusalLogsPerSecondMax) {
      this.#left += 1;
      return;
    }
    this.#written += 1;
    const leftOut = this.#left;
    this.#left = 0;
    this.#log.warn(message, leftOut === 0 ? fields : { ...fields, leftOut });
  }
}
