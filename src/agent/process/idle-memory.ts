import { giveBackMemory } from '#agent/process/give-back.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';

/** When nothing was done for so long, what a burst of work needed is needed no more. */
const QUIET_MS = 2000;
/**
 * From one time to the next: each makes the work after it a little slower. Long enough for V8 to
 * have collected what the work left behind, which takes memory of its own.
 */
const PAUSE_MS = 20_000;

export interface IdleMemoryDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** `giveBackMemory` when left out. */
  readonly giveBack?: () => void;
}

/**
 * Gives memory back when a process has come to rest, and once more when the collector of garbage
 * has. Where that cannot be done, memory is kept, and one line of the log says why
 * (docs/adr/0038).
 */
export class IdleMemory {
  readonly #deps: IdleMemoryDeps;
  readonly #giveBack: () => void;
  #timer: Timer | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #isPossible = true;

  constructor(deps: IdleMemoryDeps) {
    this.#deps = deps;
    this.#giveBack = deps.giveBack ?? giveBackMemory;
  }

  /** To be told of all that makes a process work in bursts. */
  noteWork(): void {
    if (!this.#isPossible) return;
    const { clock } = this.#deps;
    this.#wait(Math.max(QUIET_MS, this.#notBefore - clock.monotonicMs()), () => {
      this.#act();
      this.#wait(PAUSE_MS, () => this.#act());
    });
  }

  close(): void {
    this.#isPossible = false;
    this.#timer?.cancel();
  }

  #wait(delayMs: number, then: () => void): void {
    this.#timer?.cancel();
    if (this.#isPossible) this.#timer = this.#deps.clock.after(delayMs, then);
  }

  #act(): void {
    this.#notBefore = this.#deps.clock.monotonicMs() + PAUSE_MS;
    try {
      this.#giveBack();
    } catch (error) {
      this.#isPossible = false;
      this.#deps.log.debug('memory at rest is kept', { reason: describeError(error) });
    }
  }
}
