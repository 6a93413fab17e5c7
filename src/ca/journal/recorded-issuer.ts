import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { IssuedCertificate, Issuer, ServerRequest, WorkloadRequest } from '#ca/issuer.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

export interface RecordedIssuerDeps {
  readonly issuer: Pick<Issuer, 'issueForServer' | 'issueForWorkload'>;
  readonly journal: Pick<IssuanceJournal, 'record'>;
  readonly clock: Clock;
  /** Whether an identity was taken back; nobody's is when left out. */
  readonly isRevoked?: (identity: SpiffeId) => boolean;
}

/**
 * An issuer for parts of the control plane that need certificates without being asked by a caller:
 * what they get is in the journal before they have it, too.
 */
export class RecordedIssuer {
  readonly #part: string;
  readonly #deps: RecordedIssuerDeps;

  /** @param part which part of the control plane it is for, as the journal shall say */
  constructor(part: string, deps: RecordedIssuerDeps) {
    this.#part = part;
    this.#deps = deps;
  }

  /** As Issuer.issueForWorkload. @throws BulwarkError CA_JOURNAL_FAILED, CA_IDENTITY_REVOKED too */
  async issueForWorkload(request: WorkloadRequest): Promise<IssuedCertificate> {
    const { identity } = request;
    if (this.#deps.isRevoked?.(identity)) {
      throw new BulwarkError('CA_IDENTITY_REVOKED', `the identity ${identity} is revoked`, {
        remedy: 'bulwark cert unrevoke lets it be used again',
      });
    }
    const issued = await this.#deps.issuer.issueForWorkload(request);
    return this.#recorded(issued, identity);
  }

  /** As Issuer.issueForServer. @throws BulwarkError CA_JOURNAL_FAILED too */
  async issueForServer(request: ServerRequest): Promise<IssuedCertificate> {
    const issued = await this.#deps.issuer.issueForServer(request);
    return this.#recorded(issued, request.dnsNames[0] ?? '');
  }

  async #recorded(issued: IssuedCertificate, identity: string): Promise<IssuedCertificate> {
    const { journal, clock } = this.#deps;
    const { serial, notBeforeAt, notAfterAt, authorityKeyId = '' } = issued.certificate;
    await journal.record({
      serial,
      identity,
      notBeforeAt,
      notAfterAt,
      issuedAt: clock.now(),
      issuerKeyId: authorityKeyId,
      method: 'control-plane',
      proof: this.#part,
      caller: '',
    });
    return issued;
  }
}
