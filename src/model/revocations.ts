import type { CertificateRevocation, RevocationReason } from '#api/kinds/certificate-revocation.ts';
import { LIMITS } from '#base/limits.ts';
import { olderFirst } from '#model/age.ts';

/** One thing that is revoked. */
export interface Revocation {
  /** Of the CertificateRevocation. */
  readonly name: string;
  /** The latest write of the whole object, to tell a new one of the same name. */
  readonly uid: string;
  /** Lower case hex without leading zeros; undefined when an identity is revoked. */
  readonly serial: string | undefined;
  /** A SPIFFE id; undefined when a certificate is revoked. */
  readonly identity: string | undefined;
  /** Whom a revoked certificate was issued to, a SPIFFE id; undefined when that is not known. */
  readonly issuedTo: string | undefined;
  readonly reason: RevocationReason;
  /** When it was revoked, wall-clock milliseconds. */
  readonly revokedAt: number;
  /** The server that said so; left out when it is an object of this one. */
  readonly from?: string;
}

/**
 * All that is revoked. Immutable. Of more than LIMITS.revocationsMax the newest count: the API
 * refuses to make so many.
 */
export class Revocations {
  /** The oldest first. */
  readonly all: readonly Revocation[];
  /**
   * Names the last addition. It stays when something is taken away, so that whoever cuts
   * connections at its change does not cut any for a revocation that is over.
   */
  readonly marker: string;

  private constructor(all: readonly Revocation[], marker: string) {
    this.all = all;
    this.marker = marker;
  }

  /** Nothing is revoked. */
  static none(): Revocations {
    return new Revocations([], '');
  }

  /**
   * What these objects revoke, after this.
   * @param others what other servers revoke, whose number is bounded where they are heard
   */
  next(objects: Iterable<CertificateRevocation>, others: readonly Revocation[] = []): Revocations {
    const newest = [...objects].sort(olderFirst).slice(-LIMITS.revocationsMax);
    const all = [...newest.map(readRevocation), ...others];
    const known = new Set(this.all.map(keyOf));
    const added = all.findLast((one) => !known.has(keyOf(one)));
    return new Revocations(all, added ? keyOf(added) : this.marker);
  }

  /** Whether a certificate, by its serial (lower case hex), or its identity is revoked. */
  covers({ serial, identity }: { readonly serial?: string; readonly identity?: string }): boolean {
    return this.all.some(
      (one) =>
        (one.serial !== undefined && one.serial === serial) ||
        (one.identity !== undefined && one.identity === identity),
    );
  }
}

function readRevocation({ metadata, spec }: CertificateRevocation): Revocation {
  const { serial, identity, issuedTo, reason = 'unspecified' } = spec;
  const digits = serial?.toLowerCase().replace(/^0+/, '');
  const { name, uid = '', creationTimestamp = '' } = metadata;
  const revokedAt = Date.parse(creationTimestamp) || 0;
  return { name, uid, serial: digits, identity, issuedTo, reason, revokedAt };
}

function keyOf({ name, uid }: Revocation): string {
  return `${name} ${uid}`;
}
