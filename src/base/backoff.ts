import type { RandomSource } from '#base/random.ts';

/** How long to wait between attempts. */
export interface BackoffOptions {
  /** The first delay, in milliseconds. */
  readonly delayMsMin: number;
  /** The longest delay, in milliseconds. */
  readonly delayMsMax: number;
}

/** Exponential back-off with full jitter in its upper half; one for each thing that is retried. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: RandomSource;
  #attempts = 0;

  constructor(options: BackoffOptions, random: RandomSource) {
    this.#options = options;
    this.#random = random;
  }

  /**
   * The delay before the next attempt, in milliseconds; doubles with each call up to the maximum.
   */
  nextDelayMs(): number {
    const { delayMsMin, delayMsMax } = this.#options;
    const ceiling = Math.min(delayMsMax, delayMsMin * 2 ** Math.min(this.#attempts, 30));
    this.#attempts += 1;
    return ceiling * (0.5 + this.#random.fraction() / 2);
  }

  /** Attempts since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /** To be called after a success. */
  reset(): void {
    this.#attempts = 0;
  }
}
