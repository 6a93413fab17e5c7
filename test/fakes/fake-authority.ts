import { randomBytes } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import type { CaCredential, CertificateAuthority } from '#caclient/ca-client.ts';
import { buildCertificate, buildName, EMPTY_NAME, keyIdOf } from '#pki/build-certificate.ts';
import { parseCsrPem } from '#pki/csr.ts';
import { leafExtensions, namesExtension, rootExtensions } from '#pki/extensions.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import { encodePem, type PemText } from '#pki/pem.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';

const BACKDATE_MS = 120_000;
const YEAR_MS = 365 * 86_400_000;

/** A key with its certificate, PEM. */
export interface IssuedPair {
  readonly privateKeyPem: Secret<PemText>;
  readonly certificatePem: PemText;
}

/**
 * A certificate authority in memory. It signs the identity that the request asks for, and can be
 * told to be away, to sign somebody else, or to answer anything at all.
 */
export class FakeAuthority implements CertificateAuthority {
  /** Milliseconds from now until its certificates expire. */
  lifetimeMs = 3_600_000;
  /** What it says in the certificate instead of what was asked for. */
  identity: string | undefined;
  /** URI names that come behind the identity. */
  otherNames: readonly string[] = [];
  /** Thrown by every call while it is set. */
  failure: unknown;
  /** Changes each answer. */
  tamper: (chain: readonly string[]) => readonly string[] = (chain) => chain;
  /** Tokens that came with the calls; `certificate` for each call that came with one. */
  readonly tokens: string[] = [];
  /** The requests that came with the calls, PEM. */
  readonly requests: string[] = [];
  readonly rootPem: PemText;
  readonly #clock: Clock;
  readonly #keys = generateKeyPair();
  readonly #name = buildName({ organization: 'test', commonName: 'fake root' });

  constructor(clock: Clock) {
    this.#clock = clock;
    const spki = this.#keys.publicKey.export({ type: 'spki', format: 'der' });
    const now = clock.now();
    const template = {
      serial: serial(),
      notBeforeAt: now - BACKDATE_MS,
      notAfterAt: now + YEAR_MS,
      subject: this.#name,
      spki,
      extensions: [rootExtensions(keyIdOf(spki))],
    };
    this.rootPem = encodePem('CERTIFICATE', buildCertificate(template, this.#issuer()));
  }

  async sign(
    { csr }: { readonly csr: string },
    credential: CaCredential,
  ): Promise<readonly string[]> {
    this.tokens.push(credential instanceof Secret ? credential.reveal() : 'certificate');
    this.requests.push(csr);
    if (this.failure !== undefined) throw this.failure;
    const { publicKey, requested } = parseCsrPem(csr);
    const names = this.identity === undefined ? requested.names.uris : [this.identity];
    const uris = [...names, ...this.otherNames];
    return this.tamper([this.#leaf({ uris }, publicKey.spki), this.rootPem]);
  }

  /** A key and certificate of any names, such as a server's. */
  issue(names: Partial<SubjectAltNames>): IssuedPair {
    const keys = generateKeyPair();
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    return {
      privateKeyPem: privateKeyToPem(keys.privateKey),
      certificatePem: this.#leaf(names, spki),
    };
  }

  close(): void {}

  #leaf(names: Partial<SubjectAltNames>, spki: Uint8Array): PemText {
    const now = this.#clock.now();
    const issuerKeyId = keyIdOf(this.#keys.publicKey.export({ type: 'spki', format: 'der' }));
    const template = {
      serial: serial(),
      notBeforeAt: now - BACKDATE_MS,
      notAfterAt: now + this.lifetimeMs,
      subject: EMPTY_NAME,
      spki,
      extensions: [
        leafExtensions(['serverAuth', 'clientAuth'], issuerKeyId),
        namesExtension(names),
      ],
    };
    return encodePem('CERTIFICATE', buildCertificate(template, this.#issuer()));
  }

  #issuer() {
    return { name: this.#name, privateKey: this.#keys.privateKey };
  }
}

function serial(): string {
  return `1${randomBytes(15).toString('hex')}`;
}
