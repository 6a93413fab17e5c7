import type { Clock } from '#base/clock.ts';

/** Milliseconds of work after which input and output get their turn. */
const SLICE_MS = 10;
/** Items between two looks at the clock. */
const CHECK_EVERY = 16;

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
  /** In the order of marks. */
  #waiting: Item[] = [];
  #running = false;

  /** @param work must not throw; the time is by the monotonic clock, about exact */
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
    let nowMs = startMs;
    let done = 0;
    for (const item of this.#waiting) {
      done += 1;
      // From now on a mark counts anew.
      item.marked = false;
      this.#work(item, nowMs);
      if (done % CHECK_EVERY !== 0) continue;
      nowMs = this.#clock.monotonicMs();
      if (nowMs - startMs > SLICE_MS) break;
    }
    this.#waiting = this.#waiting.slice(done);
    this.#running = this.#waiting.length > 0;
    if (this.#running) setImmediate(() => this.#run());
  }
}
