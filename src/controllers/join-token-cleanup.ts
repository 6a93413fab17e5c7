import { readJoinToken } from '#api/join-token.ts';
import { type Secret, secret } from '#api/kinds/secret.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Store } from '#store/store.ts';

export interface JoinTokenCleanupDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often join tokens are looked at, and how long one is shown after it expired. */
const EVERY_MS = 600_000;
const KEEP_MS = 3_600_000;

/** Removes join tokens some time after they expired, used or not. */
export class JoinTokenCleanup implements Component {
  readonly name = 'join-token-cleanup';
  readonly #deps: JoinTokenCleanupDeps;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(deps: JoinTokenCleanupDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    this.#running = this.#clean();
    await this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #clean(): Promise<void> {
    const { store, clock, log } = this.#deps;
    try {
      const { items } = await store.list(secret.id);
      for (const item of items) await this.#removeOld(item as Secret);
    } catch (error) {
      log.warn('expired join tokens stay', { error });
    }
    if (this.#isClosed) return;
    this.#timer = clock.after(EVERY_MS, () => {
      this.#running = this.#clean();
    });
  }

  async #removeOld(object: Secret): Promise<void> {
    const { store, clock, log } = this.#deps;
    const token = readJoinToken(object);
    if (!token || clock.now() < token.expiresAt + KEEP_MS) return;
    const { name, namespace = '', resourceVersion } = object.metadata;
    const condition = resourceVersion === undefined ? {} : { resourceVersion };
    try {
      await store.delete({ kind: secret.id, namespace, name }, condition);
      log.debug('expired join token removed', { id: token.id });
    } catch (error) {
      const isGone =
        isBulwarkError(error, 'API_NOT_FOUND') || isBulwarkError(error, 'API_CONFLICT');
      if (!isGone) throw error;
    }
  }
}
