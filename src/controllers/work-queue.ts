import { Backoff, type BackoffOptions } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { RandomSource } from '#base/random.ts';

export interface WorkQueueOptions {
  /** Keys that are worked on at the same time, at most. */
  readonly concurrency: number;
  /** Pauses after a failure, for each key. */
  readonly backoff: BackoffOptions;
  /** Brings what the key names into its wanted state. A rejection means: try again later. */
  readonly work: (key: string) => Promise<void>;
  /** Called with each failure. */
  readonly onFailure: (key: string, error: unknown) => void;
}

export interface WorkQueueDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/**
 * Names of things to look at. A key that is added again while it waits is looked at once; one that
 * is added while it is worked on is looked at again after. So no key is ever worked on twice at the
 * same time, and nothing that happens is missed. At most one entry, one timer and one back-off for
 * each key: the number of keys is the bound.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #deps: WorkQueueDeps;
  readonly #waiting = new Set<string>();
  readonly #active = new Map<string, Promise<void>>();
  readonly #timers = new Map<string, Timer>();
  readonly #backoffs = new Map<string, Backoff>();
  #isClosed = false;

  constructor(options: WorkQueueOptions, deps: WorkQueueDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Keys that wait for their turn or are worked on. */
  get size(): number {
    return this.#waiting.size + this.#active.size;
  }

  /** Looks at the key as soon as there is room. */
  add(key: string): void {
    if (this.#isClosed) return;
    this.cancelTimer(key);
    this.#waiting.add(key);
    this.#fill();
  }

  /** Looks at the key after a while, in place of any moment that was set for it before. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isClosed) return;
    this.cancelTimer(key);
    const timer = this.#deps.clock.after(delayMs, () => this.add(key));
    this.#timers.set(key, timer);
  }

  /** Forgets the moment that was set for a key. */
  cancelTimer(key: string): void {
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
  }

  /** Takes nothing more, and waits until what is being worked on has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#waiting.clear();
    await Promise.all(this.#active.values());
  }

  #fill(): void {
    for (const key of this.#waiting) {
      if (this.#active.size >= this.#options.concurrency) return;
      if (this.#active.has(key)) continue;
      this.#waiting.delete(key);
      this.#active.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    // Thousands of keys that need nothing must not hold up whoever else waits for this thread.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      await this.#options.work(key);
      this.#backoffs.delete(key);
    } catch (error) {
      this.#options.onFailure(key, error);
      const { backoff: options } = this.#options;
      const backoff = this.#backoffs.get(key) ?? new Backoff(options, this.#deps.random);
      this.#backoffs.set(key, backoff);
      this.addAfter(key, backoff.nextDelayMs());
    } finally {
      this.#active.delete(key);
    }
    this.#fill();
  }
}
