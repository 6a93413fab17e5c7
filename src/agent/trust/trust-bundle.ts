import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';
import { type CertificateList, parseCrlsPem } from '#pki/crl.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { signatureVerifies } from '#pki/signature.ts';

/** What a workload is to trust. */
export interface TrustBundle {
  /** The roots, PEM; the one whose key signs now comes first. */
  readonly rootsPem: string;
  /** Their revocation lists, PEM; '' for none. */
  readonly crlPem: string;
}

/** How the own certificate stands to a bundle. */
export interface BundleStanding {
  /** Whether the bundle vouches for it. Peers with this bundle will refuse it when not. */
  readonly isTrusted: boolean;
  /** Whether it comes from the root that signs now. */
  readonly isCurrent: boolean;
  /** Whether one of its lists names it: peers with this bundle will refuse it, too. */
  readonly isRevoked: boolean;
}

/**
 * Reads the roots of a bundle and compares the own certificate with them.
 * @param own the chain that the workload serves with, PEM, leaf first; the moment, in milliseconds
 * @throws BulwarkError AGENT_TRUST_REFUSED when the bundle is not one: a part does not parse, is no
 *   authority, there is none or too many, or a list is not one of its roots, not yet, or over
 */
export function examineBundle(
  { rootsPem, crlPem }: TrustBundle,
  own: { readonly chainPem: string; readonly at: number },
): BundleStanding {
  const roots = parseRoots(rootsPem);
  const [leaf, ...intermediates] = parseCertificatesPem(own.chainPem);
  const vouches = (trusted: readonly Certificate[]): boolean => {
    if (!leaf) return false;
    try {
      verifyChain({ leaf, intermediates, roots: trusted, at: own.at, purpose: 'clientAuth' });
      return true;
    } catch (error) {
      if (error instanceof BulwarkError) return false;
      throw error;
    }
  };
  const revoked = revokedSerials(crlPem, roots, own.at);
  return {
    isTrusted: vouches(roots),
    isCurrent: vouches(roots.slice(0, 1)),
    isRevoked: leaf !== undefined && revoked.has(leaf.serial),
  };
}

function parseRoots(pem: string): readonly Certificate[] {
  let roots: readonly Certificate[];
  try {
    roots = parseCertificatesPem(pem);
  } catch (cause) {
    throw refused('it does not parse', cause);
  }
  if (roots.length === 0) throw refused('it has no root');
  if (roots.length > LIMITS.trustedRootsMax)
    throw refused(`it has more than ${LIMITS.trustedRootsMax} roots`);
  const other = roots.find(({ isCa }) => !isCa);
  if (other) throw refused(`the certificate ${other.serial} is none of an authority`);
  return roots;
}

/**
 * Envoy refuses every peer while a list is over, or while one is missing for an issuer: such lists
 * must not come that far.
 */
function revokedSerials(
  pem: string,
  roots: readonly Certificate[],
  at: number,
): ReadonlySet<string> {
  if (pem === '') return new Set();
  const lists = parseLists(pem);
  for (const list of lists) {
    const { tbs, signature, signatureAlgorithm, thisUpdateAt, nextUpdateAt } = list;
    const signedIt = ({ subject, spki }: Certificate): boolean =>
      Buffer.compare(subject, list.issuer) === 0 &&
      signatureVerifies(tbs, signature, signatureAlgorithm, parsePublicKey(spki));
    if (!roots.some(signedIt)) throw refused('no root has signed a revocation list');
    if (thisUpdateAt > at) throw refused('a revocation list is from the future');
    if (nextUpdateAt !== undefined && nextUpdateAt <= at)
      throw refused('a revocation list has expired');
  }
  const isSpokenFor = ({ subject }: Certificate): boolean =>
    lists.some(({ issuer }) => Buffer.compare(issuer, subject) === 0);
  if (!roots.every(isSpokenFor)) throw refused('a root has no revocation list');
  return new Set(lists.flatMap(({ revokedSerials: serials }) => serials));
}

function parseLists(pem: string): readonly CertificateList[] {
  try {
    return parseCrlsPem(pem);
  } catch (cause) {
    throw refused('a revocation list does not parse', cause);
  }
}

function refused(reason: string, cause?: unknown): BulwarkError {
  return new BulwarkError(
    'AGENT_TRUST_REFUSED',
    `the roots from the control plane are not used: ${reason}`,
    { data: { reason }, cause },
  );
}
