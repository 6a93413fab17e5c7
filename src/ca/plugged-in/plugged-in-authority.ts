import { type FSWatcher, watch } from 'node:fs';
import { present } from '#base/assert.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { issuerKey } from '#ca/lists/issuer-list.ts';
import { CA_FILE, type CaFiles, readCaFiles } from '#ca/plugged-in/ca-files.ts';
import { subjectOf } from '#ca/plugged-in/ca-problem.ts';
import { type CaSet, parseCaSet } from '#ca/plugged-in/ca-set.ts';
import { declareCaFilesMetrics } from '#ca/plugged-in/metrics.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import type { Signer } from '#ca/signer.ts';
import type { Certificate } from '#pki/certificate.ts';
import type { PemText } from '#pki/pem.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

export interface PluggedInOptions {
  /** The folder with the files, `cacerts` in Istio. */
  readonly directory: string;
  readonly trustDomain: TrustDomain;
}

export interface PluggedInDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** From the first sign of a change until the files are read: whoever writes them writes several. */
const SETTLE_MS = 200;
/** Signers that sign lists no longer than so many others came after them. */
const FORMER_MAX = 8;
/** Also without a sign, for file systems that give none. */
const LOOK_MS = 30_000;

/**
 * An authority that others made, from Istio's `cacerts` files. It follows the files while it runs:
 * a new set that is sound takes over at once, a bad one is told and changes nothing.
 */
export class PluggedInAuthority implements Component, MeshRoots {
  readonly name = 'plugged-in-authority';
  readonly #options: PluggedInOptions;
  readonly #deps: PluggedInDeps;
  readonly #count: (result: 'taken' | 'refused') => void;
  readonly #listeners: (() => Promise<void>)[] = [];
  readonly #arrivalListeners: ((signer: Signer) => Promise<void>)[] = [];
  #set: CaSet | undefined;
  /** Who signed before, the latest first. */
  #former: readonly Signer[] = [];
  /** Of the files that were looked at last, good or bad. */
  #digest = '';
  /** The failure that was logged last; each once. */
  #told = '';
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(options: PluggedInOptions, deps: PluggedInDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#count = declareCaFilesMetrics(deps.metrics).reloaded;
  }

  /**
   * Reads the files.
   * @throws BulwarkError CA_FILES_INVALID, FILES_UNREADABLE, FILES_TOO_OPEN
   */
  static async open(options: PluggedInOptions, deps: PluggedInDeps): Promise<PluggedInAuthority> {
    const authority = new PluggedInAuthority(options, deps);
    const files = await readCaFiles(options.directory);
    authority.#set = authority.#parse(files);
    authority.#digest = files.digest;
    return authority;
  }

  /** The root above the signer, then the others; whether their keys are used we do not know. */
  get roots(): MeshRoots['roots'] {
    return this.#current.roots.map((certificate, index) => ({
      state: index === 0 ? 'active' : 'prepared',
      certificate,
    }));
  }

  /** Who signs now. */
  get signer(): Signer {
    return this.#current.signer;
  }

  /** The roots that peers are verified against, PEM, the one above the signer first. */
  get bundlePem(): PemText {
    return this.#current.bundlePem;
  }

  /** The revocation lists of the authorities, PEM; empty when there are none. */
  get crlPem(): string {
    return this.#current.crlPem;
  }

  /** Who signs now, and those before whose leaves may be alive. */
  get listSigners(): readonly Signer[] {
    return [this.signer, ...this.#former];
  }

  get #current(): CaSet {
    return present(this.#set, 'the set of an open authority');
  }

  /** Calls `listener` after each change, one after the other. */
  onChange(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /** Calls `listener` before a new authority signs. */
  onArrival(listener: (signer: Signer) => Promise<void>): void {
    this.#arrivalListeners.push(listener);
  }

  /** @throws BulwarkError CA_ROTATION_REFUSED always: the files say which root is used */
  async step(): Promise<void> {
    const { directory } = this.#options;
    const message = `the authority is plugged in: its files in ${directory} say which root is used`;
    throw new BulwarkError('CA_ROTATION_REFUSED', message, {
      remedy: `first put the new root into ${CA_FILE.root} beside the old one, then replace the rest`,
    });
  }

  /** Begins to follow the files. */
  async start(): Promise<void> {
    const { directory } = this.#options;
    const { log } = this.#deps;
    try {
      this.#watcher = watch(directory, () => this.#lookIn(SETTLE_MS));
      this.#watcher.on('error', (error) => log.warn('the CA folder gives no signs', { error }));
      this.#watcher.unref();
    } catch (error) {
      log.warn('the CA folder gives no signs', { directory, error });
    }
    this.#lookIn(LOOK_MS);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watcher?.close();
    this.#timer?.cancel();
    await this.#looking;
  }

  #lookIn(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(delayMs, () => {
      this.#looking = this.#looking.then(() => this.#look()).finally(() => this.#lookIn(LOOK_MS));
    });
  }

  async #look(): Promise<void> {
    const { directory } = this.#options;
    const { log } = this.#deps;
    try {
      const files = await readCaFiles(directory);
      if (files.digest === this.#digest) return;
      this.#digest = files.digest;
      const set = this.#parse(files);
      if (!isSameAuthority(set.signer, this.signer)) await this.#announce(set.signer);
      this.#take(set);
    } catch (error) {
      const told = describeError(error);
      if (told === this.#told) return;
      this.#told = told;
      this.#count('refused');
      log.error('the new CA files are not used, those before are', { error });
      return;
    }
    this.#told = '';
    await this.#tell();
  }

  #parse(files: CaFiles): CaSet {
    const { trustDomain } = this.#options;
    return parseCaSet(files, { at: this.#deps.clock.now(), trustDomain });
  }

  #take(set: CaSet): void {
    const [root] = set.roots;
    const { log } = this.#deps;
    const isKnown = this.#current.roots.some(({ der }) => Buffer.compare(der, root.der) === 0);
    const now = this.#deps.clock.now();
    this.#former = [this.signer, ...this.#former]
      .filter((one) => !isSameAuthority(one, set.signer) && one.issuers[0].notAfterAt > now)
      .filter(({ issuers }) => set.roots.some((each) => isSameKey(each, issuers.at(-1))))
      .slice(0, FORMER_MAX);
    this.#set = set;
    this.#count('taken');
    const [issuer] = set.signer.issuers;
    const notAfter = new Date(issuer.notAfterAt).toISOString();
    log.info('new CA files are used', {
      issuer: subjectOf(issuer),
      root: subjectOf(root),
      notAfter,
    });
    if (isKnown) return;
    log.warn('the new root was not trusted before: who has not heard of it refuses its peers', {
      remedy: `next time first put the new root into ${CA_FILE.root}, beside the old one`,
    });
  }

  async #announce(signer: Signer): Promise<void> {
    for (const listener of this.#arrivalListeners) {
      try {
        await listener(signer);
      } catch (error) {
        this.#deps.log.error('not everything knows of the new CA files', { error });
      }
    }
  }

  async #tell(): Promise<void> {
    for (const listener of this.#listeners) {
      try {
        await listener();
      } catch (error) {
        this.#deps.log.error('the new CA files did not reach everything', { error });
      }
    }
  }
}

function isSameAuthority({ issuers: [one] }: Signer, { issuers: [other] }: Signer): boolean {
  return isSameKey(one, other);
}

function isSameKey(one: Certificate, other: Certificate | undefined): boolean {
  return other !== undefined && issuerKey(one) === issuerKey(other);
}
