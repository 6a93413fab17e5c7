import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';

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
}

/**
 * Reads the roots of a bundle and compares the own certificate with them.
 * @param own the chain that the workload serves with, PEM, leaf first; the moment, in milliseconds
 * @throws BulwarkError AGENT_TRUST_REFUSED when the bundle is not one: a part does not parse, is no
 *   authority, or there is none or too many
 */
export function examineBundle(
  { rootsPem }: TrustBundle,
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
  return { isTrusted: vouches(roots), isCurrent: vouches(roots.slice(0, 1)) };
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

function refused(reason: string, cause?: unknown): BulwarkError {
  return new BulwarkError(
    'AGENT_TRUST_REFUSED',
    `the roots from the control plane are not used: ${reason}`,
    { data: { reason }, cause },
  );
}
