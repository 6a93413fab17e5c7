import type { Clock } from '#base/clock.ts';

/**
 * Items, or milliseconds, of work after which input and output get their turn: what was written
 * goes out while its state is still in the processor's cache, and the first do not wait for the
 * last.
 */
const BATCH = 32;
const BATCH_MS = 10;

/** Something that can be marked. */
export interface Markable {
  /** Whether it waits for its turn; for the scheduler alone. */
  marked: boolean;
}

/**
 * Works off what is marked, without waiting: the first mark starts at once, and what is marked
 * while the work goes on is done in it, each item once however often it was marked.
 */
export class PushScheduler<Item extends Markable> {
  readonly #clock: Clock;
  readonly #work: (item: Item, nowMs: number) => void;
  /** In the order of marks; those before `#next` are done. */
  #waiting: Item[] = [];
  #next = 0;
  #running = false;

  /** @param work must not throw; the time is by the monotonic clock */
  constructor(clock: Clock, work: (item: Item, nowMs: number) => void) {
    this.#clock = clock;
    this.#work = work;
  }

  mark(item: Item): void {
    if (item.marked) return;
    item.marked = true;
    this.#waiting.push(item);
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => this.#run());
  }

  #run(): void {
    const startMs = this.#clock.monotonicMs();
    const end = this.#next + BATCH;
    for (let nowMs = startMs; this.#next < end && nowMs - startMs < BATCH_MS; ) {
      const item = this.#waiting[this.#next];
      if (!item) break;
      this.#next += 1;
      // From now on a mark counts anew.
      item.marked = false;
      this.#work(item, nowMs);
      nowMs = this.#clock.monotonicMs();
    }
    this.#running = this.#next < this.#waiting.length;
    if (this.#running) {
      setImmediate(() => this.#run());
    } else {
      this.#waiting = [];
      this.#next = 0;
    }
  }
}
