import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import { CERTIFICATE_BACKDATE_MS } from '#ca/issuer.ts';
import { declareRevocationMetrics } from '#ca/metrics.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import type { Signer } from '#ca/signer.ts';
import type { RevokedCertificate } from '#pki/build-crl.ts';
import { encodePem } from '#pki/pem.ts';

export interface CrlPublisherOptions {
  /** Milliseconds that a list is valid: longer than any certificate lives. */
  readonly validityMs: number;
}

export interface CrlPublisherDeps {
  readonly roots: MeshRoots;
  /** How many things are revoked now: certificates and identities. */
  readonly revocations: () => number;
  /** The certificates that are revoked now. */
  readonly revoked: () => readonly RevokedCertificate[];
  /** Called when another list is to be published. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** A list is signed anew after a day, whether anything changed or not. */
const REISSUE_MS = 24 * 3_600_000;
const RETRY_MS = 60_000;

interface SignedList {
  readonly pem: string;
  readonly signer: Signer;
  readonly thisUpdateAt: number;
  readonly nextUpdateAt: number;
}

/**
 * The revocation list that peers check handshakes against, in both directions. A list that expired,
 * or is missing for one issuer of several, fails every handshake of the mesh; so there is one only
 * while something is revoked and while one root is trusted that signs all leaves itself. In between
 * the filters that refuse revoked callers stand alone. A list lives longer than every certificate:
 * when the control plane is gone for long, it is never the list that ends a connection.
 */
export class CrlPublisher implements Component {
  readonly name = 'revocation list';
  readonly #options: CrlPublisherOptions;
  readonly #deps: CrlPublisherDeps;
  #list: SignedList | undefined;
  #timer: Timer | undefined;
  #signing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: CrlPublisherOptions, deps: CrlPublisherDeps) {
    this.#options = options;
    this.#deps = deps;
    declareRevocationMetrics(deps.metrics, {
      revocations: deps.revocations,
      certificates: () => deps.revoked().length,
      list: () => this.#list,
      clock: deps.clock,
    });
  }

  /** The list to be published, PEM; '' while there is none. */
  get pem(): string {
    const list = this.#list;
    return list && list.signer === this.#signer() ? list.pem : '';
  }

  /** To be called when something was revoked or is over, and when the roots changed. */
  update(): Promise<void> {
    this.#signing = this.#signing.then(() => this.#sign());
    return this.#signing;
  }

  start(): Promise<void> {
    return this.update();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#signing;
  }

  /** Who speaks for every leaf of the mesh; undefined while nobody does alone. */
  #signer(): Signer | undefined {
    const { roots, signer } = this.#deps.roots;
    const isAlone = roots.length === 1 && signer.issuers.length === 1;
    return isAlone && signer.signCrl ? signer : undefined;
  }

  async #sign(): Promise<void> {
    const { clock, log, onChange } = this.#deps;
    if (this.#isClosed) return;
    this.#timer?.cancel();
    try {
      const before = this.#list?.pem;
      this.#list = await this.#signedList();
      this.#timer = clock.after(REISSUE_MS, () => void this.update());
      if (this.#list?.pem !== before) onChange();
    } catch (error) {
      log.error('no new revocation list; the old one stays', { error, retryMs: RETRY_MS });
      this.#timer = clock.after(RETRY_MS, () => void this.update());
    }
  }

  async #signedList(): Promise<SignedList | undefined> {
    const { clock, log } = this.#deps;
    const signer = this.#signer();
    const revoked = this.#deps.revoked();
    if (!signer?.signCrl || revoked.length === 0) return undefined;
    const now = clock.now();
    // Backdated as certificates are, for clocks that are behind.
    const thisUpdateAt = now - CERTIFICATE_BACKDATE_MS;
    const nextUpdateAt = now + this.#options.validityMs;
    const der = await signer.signCrl({ number: now, thisUpdateAt, nextUpdateAt, revoked });
    log.info('revocation list signed', { count: revoked.length, bytes: der.length });
    return { pem: encodePem('X509 CRL', der), signer, thisUpdateAt, nextUpdateAt };
  }
}
