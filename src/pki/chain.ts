import { BulwarkError } from '#base/errors.ts';
import type { Certificate } from '#pki/certificate.ts';
import { KEY_USAGE, type TlsPurpose } from '#pki/extensions.ts';
import { nameConstraintProblem } from '#pki/name-constraints.ts';
import { OID } from '#pki/object-ids.ts';
import { importPublicKey, type PublicKey, parsePublicKey } from '#pki/public-key.ts';
import { signatureVerifies } from '#pki/signature.ts';

/** What to verify a certificate against. */
export interface ChainOptions {
  readonly leaf: Certificate;
  /** Certificates that came with it, in any order; none of them is trusted. */
  readonly intermediates: readonly Certificate[];
  /** Trusted, whatever the certificates in between say. */
  readonly roots: readonly Certificate[];
  /** The moment at which all must be valid, wall-clock milliseconds. */
  readonly at: number;
  /** What the leaf must be good for, all of it. */
  readonly purposes: readonly TlsPurpose[];
}

/** Certificates between leaf and root, at most. */
const INTERMEDIATES_MAX = 8;
/**
 * Signatures tried for one chain, so that a bag of certificates with one name cannot keep us busy.
 */
const ATTEMPTS_MAX = 32;

/**
 * Finds and verifies the way from a leaf to a root (RFC 5280 section 6, without policies: a
 * critical extension that we do not know ends it).
 * @returns leaf first, root last
 * @throws BulwarkError PKI_VERIFY_FAILED with the reason
 */
export function verifyChain(options: ChainOptions): readonly Certificate[] {
  const { leaf, intermediates, roots, at, purposes } = options;
  checkUse(leaf, at);
  checkPurposes(leaf, purposes);
  if (leaf.isCa) throw failed('the certificate is one of an authority');
  const search: Search = { intermediates, roots, at, purposes, attemptsLeft: ATTEMPTS_MAX };
  const path = extend([leaf], search);
  if (!path) throw failed(search.reason ?? 'no trusted root has signed it');
  return path;
}

interface Search extends Pick<ChainOptions, 'intermediates' | 'roots' | 'at' | 'purposes'> {
  attemptsLeft: number;
  /** Why the last candidate was not taken. */
  reason?: string;
}

/** Depth first: roots before intermediates. */
function extend(path: readonly Certificate[], search: Search): readonly Certificate[] | undefined {
  const root = search.roots.find((candidate) => hasSigned(candidate, path, search));
  if (root) return [...path, root];
  if (path.length > INTERMEDIATES_MAX) return undefined;
  for (const candidate of search.intermediates) {
    if (path.includes(candidate) || !hasSigned(candidate, path, search)) continue;
    const whole = extend([...path, candidate], search);
    if (whole) return whole;
  }
  return undefined;
}

function hasSigned(issuer: Certificate, path: readonly Certificate[], search: Search): boolean {
  const subject = path.at(-1);
  if (!subject || Buffer.compare(issuer.subject, subject.issuer) !== 0) return false;
  if (
    subject.authorityKeyId &&
    issuer.subjectKeyId &&
    subject.authorityKeyId !== issuer.subjectKeyId
  )
    return false;
  if (search.attemptsLeft === 0) return false;
  search.attemptsLeft -= 1;
  try {
    checkIssuer(issuer, path, search);
    verifySignature(subject, issuer);
    return true;
  } catch (error) {
    if (!(error instanceof BulwarkError)) throw error;
    search.reason = error.message;
    return false;
  }
}

/** @param path the certificates below, the leaf first */
function checkIssuer(
  issuer: Certificate,
  path: readonly Certificate[],
  { at, purposes }: Search,
): void {
  checkUse(issuer, at);
  if (!issuer.isCa) throw failed('its issuer is no certificate authority');
  if (issuer.keyUsage !== undefined && !(issuer.keyUsage & KEY_USAGE.keyCertSign))
    throw failed('its issuer may not sign certificates');
  if (issuer.pathLength !== undefined && issuer.pathLength < path.length - 1)
    throw failed('the chain is longer than its issuer allows');
  checkPurposes(issuer, purposes);
  const { nameConstraints } = issuer;
  if (!nameConstraints) return;
  for (const [index, below] of path.entries()) {
    // An authority that signs itself anew names nobody else (RFC 5280 section 6.1.3 step b).
    if (index > 0 && Buffer.compare(below.issuer, below.subject) === 0) continue;
    const problem = nameConstraintProblem(nameConstraints, below);
    if (problem !== undefined) throw failed(problem);
  }
}

function checkUse(certificate: Certificate, at: number): void {
  const [unknown] = certificate.unknownCritical;
  if (unknown) throw failed(`critical extension ${unknown} is not supported`);
  if (at < certificate.notBeforeAt)
    throw failed(`it is not valid before ${new Date(certificate.notBeforeAt).toISOString()}`);
  if (at > certificate.notAfterAt)
    throw failed(`it expired at ${new Date(certificate.notAfterAt).toISOString()}`);
}

function checkPurposes(certificate: Certificate, purposes: readonly TlsPurpose[]): void {
  const { extendedKeyUsage } = certificate;
  const lacking = purposes.find((purpose) => extendedKeyUsage?.includes(OID[purpose]) === false);
  if (lacking) throw failed(`it may not be used for ${lacking}`);
}

/** By certificate: an issuer has signed many. */
const keys = new WeakMap<Certificate, PublicKey>();

function keyOf(issuer: Certificate): PublicKey {
  const known = keys.get(issuer);
  if (known) return known;
  const key = importPublicKey(parsePublicKey(issuer.spki));
  keys.set(issuer, key);
  return key;
}

/**
 * Checks that the holder of the issuer's key has signed a certificate.
 * @throws BulwarkError PKI_VERIFY_FAILED
 */
export function verifySignature(subject: Certificate, issuer: Certificate): void {
  const { tbs, signature, signatureAlgorithm } = subject;
  if (!signatureVerifies(tbs, signature, signatureAlgorithm, keyOf(issuer)))
    throw failed('its signature does not verify');
}

function failed(reason: string): BulwarkError {
  return new BulwarkError('PKI_VERIFY_FAILED', `the certificate does not verify: ${reason}`);
}
