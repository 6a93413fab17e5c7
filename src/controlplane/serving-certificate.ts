import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';
import type { Issuer } from '#ca/issuer.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';

/** Key and certificate that a server of the control plane proves itself with. */
export interface ServingMaterial {
  readonly privateKeyPem: Secret<string>;
  /** Leaf first, without the root. */
  readonly certificateChainPem: string;
}

export interface ServingCertificateOptions {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Milliseconds; renewed at half life. */
  readonly ttlMs: number;
}

export interface ServingCertificateDeps {
  readonly issuer: Pick<Issuer, 'issueForServer'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The shortest time between two renewals, also after a failure. */
const RENEW_MS_MIN = 60_000;

/**
 * The control plane's own certificate: kept in memory, made anew at each start and at half of its
 * life.
 */
export class ServingCertificate implements Component {
  readonly name = 'serving-certificate';
  readonly #options: ServingCertificateOptions;
  readonly #deps: ServingCertificateDeps;
  readonly #listeners: ((material: ServingMaterial) => void)[] = [];
  #material: ServingMaterial | undefined;
  #timer: Timer | undefined;

  constructor(options: ServingCertificateOptions, deps: ServingCertificateDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** What to serve with now; there once started. */
  get material(): ServingMaterial | undefined {
    return this.#material;
  }

  /** Calls `listener` with each new certificate after the first. */
  onRenewed(listener: (material: ServingMaterial) => void): void {
    this.#listeners.push(listener);
  }

  /** @throws BulwarkError CA_SIGN_FAILED, CA_KEY_UNUSABLE */
  async start(): Promise<void> {
    await this.#renew();
  }

  /**
   * Has it signed anew at once, by the root that signs now.
   * @throws BulwarkError CA_SIGN_FAILED, CA_KEY_UNUSABLE; the old one then stays
   */
  async renewNow(): Promise<void> {
    this.#timer?.cancel();
    try {
      await this.#renew();
    } catch (error) {
      this.#timer = this.#deps.clock.after(RENEW_MS_MIN, () => void this.#renewAgain());
      throw error;
    }
    this.#tell();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tell(): void {
    const material = this.#material;
    for (const listener of this.#listeners) if (material) listener(material);
  }

  async #renew(): Promise<void> {
    const { issuer, clock } = this.#deps;
    const keys = generateKeyPair();
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    const { certificate, chain } = await issuer.issueForServer({
      ...this.#options,
      publicKey: parsePublicKey(spki),
    });
    this.#material = {
      privateKeyPem: privateKeyToPem(keys.privateKey),
      certificateChainPem: chain.slice(0, -1).join(''),
    };
    const lifeMs = certificate.notAfterAt - clock.now();
    this.#timer = clock.after(Math.max(RENEW_MS_MIN, lifeMs / 2), () => void this.#renewAgain());
  }

  async #renewAgain(): Promise<void> {
    const { clock, log } = this.#deps;
    try {
      await this.#renew();
      this.#tell();
      log.info('the certificate of the control plane was renewed');
    } catch (error) {
      log.error('the certificate of the control plane could not be renewed', { error });
      this.#timer = clock.after(RENEW_MS_MIN, () => void this.#renewAgain());
    }
  }
}
