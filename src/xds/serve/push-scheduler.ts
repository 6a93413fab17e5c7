import type { Clock } from '#base/clock.ts';

/** Milliseconds of work after which input and output get their turn. */
const SLICE_MS = 10;

/**
 * Works off what is marked, without waiting: the first mark starts at once, and what is marked
 * while the work goes on is done in it, each item once however often it was marked.
 */
export class PushScheduler<Item> {
  readonly #clock: Clock;
  readonly #work: (item: Item) => void;
  /** In the order of marks. */
  readonly #marked = new Set<Item>();
  #running = false;

  /** @param work must not throw */
  constructor(clock: Clock, work: (item: Item) => void) {
    this.#clock = clock;
    this.#work = work;
  }

  mark(item: Item): void {
    this.#marked.add(item);
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => this.#run());
  }

  unmark(item: Item): void {
    this.#marked.delete(item);
  }

  #run(): void {
    const startMs = this.#clock.monotonicMs();
    for (const item of this.#marked) {
      this.#marked.delete(item);
      this.#work(item);
      if (this.#clock.monotonicMs() - startMs > SLICE_MS) break;
    }
    this.#running = this.#marked.size > 0;
    if (this.#running) setImmediate(() => this.#run());
  }
}
