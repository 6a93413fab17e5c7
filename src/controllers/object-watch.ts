import type { KindId } from '#api/object.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { Store, StoreEvent, StoreWatch } from '#store/store.ts';

/** One object that is there, changed or went. */
export type ObjectEvent = Pick<StoreEvent, 'type' | 'kind' | 'object'>;

export interface ObjectWatchOptions {
  readonly kinds: readonly KindId[];
  readonly onEvent: (event: ObjectEvent) => void;
}

export interface ObjectWatchDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** Pauses between attempts to list when the store fails. */
const RETRY = { delayMsMin: 500, delayMsMax: 30_000 };

/**
 * Tells of every object of some kinds: all that are there, then each change, without asking again
 * and again. When the watch fell behind it tells of all that are there once more, and says nothing
 * of those that went meanwhile: to be used by who looks at the whole state of what an event names.
 */
export class ObjectWatch implements Component {
  readonly name = 'object-watch';
  readonly #options: ObjectWatchOptions;
  readonly #deps: ObjectWatchDeps;
  readonly #backoff: Backoff;
  #watch: StoreWatch | undefined;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(options: ObjectWatchOptions, deps: ObjectWatchDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY, deps.random);
  }

  /** @throws BulwarkError when the store cannot be listed */
  async start(): Promise<void> {
    const { kinds, onEvent } = this.#options;
    const { store } = this.#deps;
    const from = await store.currentVersion();
    for (const kind of kinds) {
      const { items } = await store.list(kind);
      for (const object of items) onEvent({ type: 'ADDED', kind, object });
    }
    if (this.#isClosed) return;
    this.#watch = store.watch(
      { kinds, from },
      {
        onEvent,
        onError: (error) => {
          this.#deps.log.warn('the watch of the store ended; listing again', { error });
          void this.#again();
        },
      },
    );
    this.#backoff.reset();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#watch?.close();
  }

  async #again(): Promise<void> {
    if (this.#isClosed) return;
    try {
      await this.start();
    } catch (error) {
      this.#deps.log.error('the store cannot be listed; trying again', { error });
      this.#retry = this.#deps.clock.after(this.#backoff.nextDelayMs(), () => void this.#again());
    }
  }
}
