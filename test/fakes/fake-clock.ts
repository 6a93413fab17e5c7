import type { Clock, Timer } from '#base/clock.ts';

interface Pending {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #wallMs: number;
  #elapsedMs = 0;
  readonly #pending = new Set<Pending>();

  constructor(startAt = Date.UTC(2026, 0, 1)) {
    this.#wallMs = startAt;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry = { dueMs: this.#elapsedMs + Math.max(0, delayMs), callback };
    this.#pending.add(entry);
    return { cancel: () => void this.#pending.delete(entry) };
  }

  /** Delays of the timers that wait, in milliseconds from now, shortest first. */
  get waitingMs(): readonly number[] {
    return [...this.#pending].map(({ dueMs }) => dueMs - this.#elapsedMs).sort((a, b) => a - b);
  }

  /** Moves time on, calling the timers that fall due in their order, each at its own moment. */
  advance(byMs: number): void {
    const endMs = this.#elapsedMs + byMs;
    for (let next = this.#firstDue(endMs); next; next = this.#firstDue(endMs)) {
      this.#moveTo(next.dueMs);
      this.#pending.delete(next);
      next.callback();
    }
    this.#moveTo(endMs);
  }

  /** Sets the wall clock without time passing, as an operator or NTP does. */
  jump(byMs: number): void {
    this.#wallMs += byMs;
  }

  #firstDue(endMs: number): Pending | undefined {
    const due = [...this.#pending].filter(({ dueMs }) => dueMs <= endMs);
    return due.sort((a, b) => a.dueMs - b.dueMs)[0];
  }

  #moveTo(elapsedMs: number): void {
    this.#wallMs += elapsedMs - this.#elapsedMs;
    this.#elapsedMs = elapsedMs;
  }
}
