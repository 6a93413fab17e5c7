import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { verifyChain } from '#pki/chain.ts';
import { type CertificateList, isListOf, parseCrlsPem } from '#pki/crl.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { signatureVerifies } from '#pki/signature.ts';

/** What a workload is to trust. */
export interface TrustBundle {
  /** The roots, PEM; the one whose key signs now comes first. */
  readonly rootsPem: string;
  /** Revocation lists, PEM; '' for none. */
  readonly crlPem: string;
  /** Whether there are lists for the authorities above leaves only; true when left out. */
  readonly isLeafOnly?: boolean;
}

/** How the own certificate stands to a bundle. */
export interface BundleStanding {
  /** Whether the bundle vouches for it. Peers with this bundle will refuse it when not. */
  readonly isTrusted: boolean;
  /** Whether it comes from the root that signs now. */
  readonly isCurrent: boolean;
  /** Whether one of its lists names it: peers with this bundle will refuse it, too. */
  readonly isRevoked: boolean;
  /** Whether one of them names an authority above it: another certificate may be no better. */
  readonly isAuthorityRevoked: boolean;
}

/**
 * Reads the roots of a bundle and compares the own certificate with them.
 * @param own the chain that the workload serves with, PEM, leaf first; the moment, in milliseconds
 * @throws BulwarkError AGENT_TRUST_REFUSED when the bundle is not one: a part does not parse, is no
 *   authority, there is none or too many; or a list is not yet, over, or missing for an authority
 *   that peers will look for
 */
export function examineBundle(
  bundle: TrustBundle,
  own: { readonly chainPem: string; readonly at: number },
): BundleStanding {
  const roots = parseRoots(bundle.rootsPem);
  const [leaf, ...intermediates] = parseCertificatesPem(own.chainPem);
  const vouches = (trusted: readonly Certificate[]): boolean => {
    if (!leaf) return false;
    try {
      verifyChain({ leaf, intermediates, roots: trusted, at: own.at, purposes: ['clientAuth'] });
      return true;
    } catch (error) {
      if (error instanceof BulwarkError) return false;
      throw error;
    }
  };
  const isTrusted = vouches(roots);
  const above = isTrusted && leaf ? authoritiesAbove(leaf, [...intermediates, ...roots]) : [];
  const lists = checkedLists(bundle, { roots, above, at: own.at });
  return {
    isTrusted,
    isCurrent: vouches(roots.slice(0, 1)),
    isRevoked: leaf !== undefined && isNamed([leaf, ...above], lists),
    isAuthorityRevoked: isNamed(above, lists),
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

/** From the authority that signed a certificate to its root, by their names and keys. */
function authoritiesAbove(
  leaf: Certificate,
  known: readonly Certificate[],
): readonly Certificate[] {
  const path: Certificate[] = [];
  let below: Certificate | undefined = leaf;
  while (below) {
    const current: Certificate = below;
    below = known.find((one) => !path.includes(one) && hasSigned(one, current));
    if (below) path.push(below);
  }
  return path;
}

function hasSigned(authority: Certificate, below: Certificate): boolean {
  if (Buffer.compare(authority.subject, below.issuer) !== 0) return false;
  const { tbs, signature, signatureAlgorithm } = below;
  return signatureVerifies(tbs, signature, signatureAlgorithm, parsePublicKey(authority.spki));
}

/**
 * Envoy refuses every peer while a list is over, or while one is missing for an issuer: such lists
 * must not come that far. A list of an authority that is not known here may be right: another
 * workload has its certificate from there.
 */
function checkedLists(
  { crlPem, isLeafOnly = true }: TrustBundle,
  {
    roots,
    above,
    at,
  }: {
    readonly roots: readonly Certificate[];
    readonly above: readonly Certificate[];
    readonly at: number;
  },
): readonly CertificateList[] {
  if (crlPem === '') return [];
  const lists = parseLists(crlPem);
  const known = [...above, ...roots];
  for (const list of lists) {
    const { thisUpdateAt, nextUpdateAt } = list;
    const namesakes = known.filter(({ subject }) => Buffer.compare(subject, list.issuer) === 0);
    if (namesakes.length > 0 && !namesakes.some((one) => isListOf(list, one)))
      throw refused('no authority of that name has signed a revocation list');
    if (thisUpdateAt > at) throw refused('a revocation list is from the future');
    if (nextUpdateAt !== undefined && nextUpdateAt <= at)
      throw refused('a revocation list has expired');
  }
  const isSpokenFor = (one: Certificate): boolean => lists.some((list) => isListOf(list, one));
  const [issuer] = above;
  // Where leaves come from a root, they may come from each.
  const isDirect = issuer !== undefined && roots.includes(issuer);
  const needed = [...(isLeafOnly ? above.slice(0, 1) : above), ...(isDirect ? roots : [])];
  if (!needed.every(isSpokenFor)) throw refused('an authority has no revocation list');
  return lists;
}

/** Whether a certificate of a path is named by the list of the authority above it. */
function isNamed(path: readonly Certificate[], lists: readonly CertificateList[]): boolean {
  return path.some((one, index) => {
    const authority = path[index + 1];
    return lists.some(
      (list) => authority && list.revokedSerials.includes(one.serial) && isListOf(list, authority),
    );
  });
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
