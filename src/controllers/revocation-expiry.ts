import {
  type CertificateRevocation,
  certificateRevocation,
} from '#api/kinds/certificate-revocation.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Store } from '#store/store.ts';

export interface RevocationExpiryOptions {
  /** Milliseconds after which no certificate of the mesh lives any more. */
  readonly certificateLifeMsMax: number;
}

export interface RevocationExpiryDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 10 * 60_000;

/**
 * Deletes revocations that are over: those whose time has come, and those of a serial from which no
 * certificate can be left. So the list of revoked certificates does not grow for ever.
 */
export class RevocationExpiry implements Component {
  readonly name = 'expiry of revocations';
  readonly #options: RevocationExpiryOptions;
  readonly #deps: RevocationExpiryDeps;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: RevocationExpiryOptions, deps: RevocationExpiryDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): Promise<void> {
    this.#looking = this.#look();
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { store, clock, log } = this.#deps;
    try {
      const { items } = await store.list(certificateRevocation.id);
      for (const item of items as readonly CertificateRevocation[])
        if (this.#isOver(item)) await this.#remove(item);
    } catch (error) {
      log.warn('revocations that are over could not be removed', { error });
    }
    if (this.#isClosed) return;
    this.#timer = clock.after(LOOK_MS, () => {
      this.#looking = this.#look();
    });
  }

  async #remove({ metadata, spec }: CertificateRevocation): Promise<void> {
    const { name, uid } = metadata;
    const key = { kind: certificateRevocation.id, namespace: '', name };
    try {
      await this.#deps.store.delete(key, uid === undefined ? {} : { uid });
      this.#deps.log.info('a revocation is over', { name, ...spec });
    } catch (error) {
      // Somebody else was faster, which is as good.
      if (!isBulwarkError(error, 'API_NOT_FOUND') && !isBulwarkError(error, 'API_CONFLICT'))
        throw error;
    }
  }

  #isOver({ metadata, spec }: CertificateRevocation): boolean {
    const now = this.#deps.clock.now();
    if (spec.notAfter !== undefined) return Date.parse(spec.notAfter) < now;
    if (spec.serial === undefined) return false;
    const createdAt = Date.parse(metadata.creationTimestamp ?? '');
    return createdAt + this.#options.certificateLifeMsMax < now;
  }
}
