import { Backoff } from '#base/backoff.ts';
import { type Clock, delay } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';

export interface LatestWriteDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: RandomSource;
}

const RETRY_DELAY = { delayMsMin: 500, delayMsMax: 30_000 };

/** Writes the latest of many values, one at a time, and goes on trying while it fails. */
export class LatestWrite<T extends object> {
  readonly #what: string;
  readonly #write: (value: T) => Promise<void>;
  readonly #deps: LatestWriteDeps;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #due: T | undefined;
  #writing: Promise<void> | undefined;

  /** @param what for the log, such as `the certificate files` */
  constructor(what: string, write: (value: T) => Promise<void>, deps: LatestWriteDeps) {
    this.#what = what;
    this.#write = write;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY_DELAY, deps.random);
  }

  /** Writes this one, until it is written or replaced by a later one. */
  publish(value: T): void {
    this.#due = value;
    this.#writing ??= this.#writeDue().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Ends what is being written, and tries no more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  async #writeDue(): Promise<void> {
    const { log, clock } = this.#deps;
    const { signal } = this.#closing;
    while (this.#due && !signal.aborted) {
      const value = this.#due;
      try {
        await this.#write(value);
        this.#backoff.reset();
        if (this.#due === value) this.#due = undefined;
      } catch (error) {
        const retryMs = this.#backoff.nextDelayMs();
        log.error(`${this.#what} could not be written`, { error, retryMs });
        await delay(clock, retryMs, signal);
      }
    }
  }
}
