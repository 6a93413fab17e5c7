import type { Clock, Timer } from '#base/clock.ts';

/** How often work is done. */
export interface WorkRoundOptions {
  /** Milliseconds in which what comes up is collected. */
  readonly pauseMs: number;
  /** What a round took, times this, is the least that passes before the next. */
  readonly restFactor: number;
}

/** Work that is done again and again, but not all the time. */
export class WorkRound {
  readonly #options: WorkRoundOptions;
  readonly #work: () => Promise<void>;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isDue = false;
  #restMs = 0;
  #isClosed = false;

  constructor(options: WorkRoundOptions, work: () => Promise<void>, clock: Clock) {
    this.#options = options;
    this.#work = work;
    this.#clock = clock;
  }

  /** Works after a pause, together with whatever else comes up until then. */
  soon(pauseMs = this.#options.pauseMs): void {
    if (this.#isClosed || this.#timer) return;
    if (this.#running) {
      this.#isDue = true;
      return;
    }
    const delayMs = Math.max(pauseMs, this.#restMs);
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#running = this.#run();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #run(): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    await this.#work();
    this.#restMs = (this.#clock.monotonicMs() - startMs) * this.#options.restFactor;
    this.#running = undefined;
    if (!this.#isDue) return;
    this.#isDue = false;
    this.soon();
  }
}
