import type { CrlTemplate } from '#pki/build-crl.ts';
import type { Certificate } from '#pki/certificate.ts';
import type { TlsPurpose } from '#pki/extensions.ts';
import type { PublicKey } from '#pki/public-key.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';

/** Everything that a leaf certificate says; decided here, never by who asks for it. */
export interface LeafTemplate {
  /** Lower case hex without leading zeros, at most 20 bytes. */
  readonly serial: string;
  /** Wall-clock milliseconds, whole seconds. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  readonly names: SubjectAltNames;
  readonly purposes: readonly TlsPurpose[];
  readonly publicKey: PublicKey;
}

/** What the certificate of an authority below says; none may follow below it. */
export interface IntermediateTemplate {
  /** As in LeafTemplate. */
  readonly serial: string;
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** Its own name, DER. */
  readonly name: Uint8Array;
  /** SubjectPublicKeyInfo of its key, DER. */
  readonly spki: Uint8Array;
  /** The only trust domains whose identities it may sign; at least one. */
  readonly trustDomains: readonly string[];
}

/**
 * Holds or reaches the key of an authority and signs with it, nothing else: what may be signed is
 * decided before, and the result is checked after (issuer.ts), whoever signs. The contract suite is
 * test/contract/signer-contract.ts.
 */
export interface Signer {
  /**
   * The certificate that leaves are signed with first, its root last; one certificate when it is
   * the root itself.
   */
  readonly issuers: readonly [Certificate, ...Certificate[]];
  /**
   * Signs a leaf.
   * @returns the certificate, DER
   * @throws BulwarkError CA_SIGN_FAILED
   */
  sign(template: LeafTemplate): Promise<Uint8Array>;
  /**
   * Signs a revocation list in the name of the first of `issuers`, DER; left out by signers that
   * reach a key which is not theirs to speak for.
   */
  signCrl?(template: CrlTemplate): Promise<Uint8Array>;
  /** Signs an authority below, DER; left out by signers that sign leaves only. */
  signIntermediate?(template: IntermediateTemplate): Promise<Uint8Array>;
}
