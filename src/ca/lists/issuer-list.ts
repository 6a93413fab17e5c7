import { createHash } from 'node:crypto';
import type { Signer } from '#ca/signer.ts';
import type { Certificate } from '#pki/certificate.ts';

/** The last revocation list of one authority. */
export interface IssuerList {
  /** The authority that it speaks for first, its root last. */
  readonly issuers: Signer['issuers'];
  /** The list, PEM. */
  readonly pem: string;
  /** Wall-clock milliseconds. */
  readonly thisUpdateAt: number;
  /** From then on it would end handshakes. */
  readonly nextUpdateAt: number;
}

/**
 * An authority by its name and key, hex: what a list speaks for. Its certificate may be replaced by
 * another with the same two.
 */
export function issuerKey({ subject, spki }: Pick<Certificate, 'subject' | 'spki'>): string {
  return createHash('sha256').update(subject).update(spki).digest('hex');
}
