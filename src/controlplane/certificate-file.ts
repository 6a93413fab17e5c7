import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { readSecretFile } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import type { ServingMaterial } from '#controlplane/serving-certificate.ts';
import { isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { parsePrivateKeyPem, publicHalf } from '#pki/keys.ts';

export interface CertificateFileOptions {
  /** The chain, PEM, leaf first. */
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateFileDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_MS = 30_000;

/** Key and certificate that others made and replace, for a server that they may trust by name. */
export class CertificateFile implements Component {
  readonly name = 'certificate-file';
  readonly #options: CertificateFileOptions;
  readonly #deps: CertificateFileDeps;
  readonly #listeners: ((material: ServingMaterial) => void)[] = [];
  #material: ServingMaterial | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: CertificateFileOptions, deps: CertificateFileDeps) {
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

  /** @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, PKI_MALFORMED, PKI_VERIFY_FAILED */
  async start(): Promise<void> {
    this.#material = await this.#read();
    this.#lookLater();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      void this.#look().finally(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    try {
      const material = await this.#read();
      if (material.certificateChainPem === this.#material?.certificateChainPem) return;
      this.#material = material;
      for (const listener of this.#listeners) listener(material);
    } catch (error) {
      this.#deps.log.warn('a new certificate is not used, the one before is', { error });
    }
  }

  async #read(): Promise<ServingMaterial> {
    const { certificate, key } = this.#options;
    const certificateChainPem = await readFile(certificate, 'utf8').catch((cause: unknown) => {
      throw new BulwarkError('FILES_UNREADABLE', `cannot read ${certificate}`, { cause });
    });
    const keyPem = await readSecretFile(key);
    const [leaf] = parseCertificatesPem(certificateChainPem);
    if (!leaf || !isCertificateOfKey(leaf, publicHalf(parsePrivateKeyPem(keyPem)))) {
      const message = `the certificate in ${certificate} is not of the key in ${key}`;
      throw new BulwarkError('PKI_VERIFY_FAILED', message);
    }
    return { privateKeyPem: new Secret(keyPem.toString('utf8')), certificateChainPem };
  }
}
