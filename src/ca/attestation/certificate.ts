import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { AttestedCall, Attestor, ProvenCaller } from '#ca/authenticator.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import {
  parseWorkloadId,
  type TrustDomain,
  type WorkloadIdentity,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';

export interface CertificateAttestorOptions {
  /** Of the certificates that are issued. */
  readonly trustDomain: TrustDomain;
  /** Those that a certificate may be of: `trustDomain` and its aliases. */
  readonly trustDomains: readonly TrustDomain[];
}

export interface CertificateAttestorDeps {
  readonly clock: Clock;
  /** Whether there (still) is such a service account. */
  readonly accountExists: (workload: WorkloadIdentity) => Promise<boolean>;
  /** Whether the certificate was taken back, by its serial (lower case hex). */
  readonly isRevoked: (serial: string) => boolean;
}

/**
 * Knows callers by the workload certificate that they proved to hold in the TLS handshake; this is
 * how agents without tokens renew. TLS verified the chain; what a certificate of ours may be good
 * for is checked here. The caller gets the identity of its certificate and no other.
 */
export class CertificateAttestor implements Attestor {
  readonly #options: CertificateAttestorOptions;
  readonly #deps: CertificateAttestorDeps;
  /** Read once for each connection; whether they are good is asked each time. */
  readonly #known = new WeakMap<Uint8Array, Certificate>();

  constructor(options: CertificateAttestorOptions, deps: CertificateAttestorDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async attest({ peer }: AttestedCall): Promise<ProvenCaller | undefined> {
    if (!peer.verifiedCertificate) return undefined;
    const certificate = this.#read(peer.verifiedCertificate);
    const { serial, notBeforeAt, notAfterAt } = certificate;
    const refuse = (why: string) => unauthenticated(`the certificate ${serial} ${why}`);
    const now = this.#deps.clock.now();
    if (now < notBeforeAt || now >= notAfterAt) throw refuse('is not valid now');
    const workload = parseWorkloadId(identityOf(certificate));
    if (!workload) throw refuse('is not that of a workload');
    const { trustDomain, trustDomains } = this.#options;
    if (!trustDomains.includes(workload.trustDomain))
      throw refuse(`is of the trust domain ${workload.trustDomain}`);
    if (this.#deps.isRevoked(serial)) throw refuse('was revoked');
    if (!(await this.#deps.accountExists(workload)))
      throw refuse('is that of a service account that is gone');
    const identity = workloadSpiffeId({ ...workload, trustDomain });
    return { identity, method: 'certificate', proof: serial };
  }

  #read(der: Uint8Array): Certificate {
    const known = this.#known.get(der);
    if (known) return known;
    const certificate = parse(der);
    this.#known.set(der, certificate);
    return certificate;
  }
}

function parse(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!isBulwarkError(cause)) throw cause;
    throw unauthenticated('the client certificate does not read', cause);
  }
}

function identityOf(certificate: Certificate) {
  try {
    return identityOfCertificate(certificate);
  } catch (cause) {
    if (!isBulwarkError(cause)) throw cause;
    throw unauthenticated('the client certificate carries no identity', cause);
  }
}

function unauthenticated(message: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_UNAUTHENTICATED', message, { cause });
}
