import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { encodePem } from '#pki/pem.ts';
import { bundleOf, type JwtAuthority } from '#spiffe/bundle.ts';
import { parseTrustDomain, type TrustDomain } from '#spiffe/spiffe-id.ts';

/** What vouches for the identities of one trust domain. */
export interface DomainBundle {
  /** PEM. */
  readonly rootsPem: string;
  readonly jwtAuthorities: readonly JwtAuthority[];
}

/** All trust domains that a workload knows. */
export interface KnownBundles {
  /** The names of its own: for these, roots count as they came on their own. */
  readonly own: readonly TrustDomain[];
  readonly byDomain: ReadonlyMap<TrustDomain, DomainBundle>;
}

/**
 * Reads what the control plane says of trust domains, JSON. Where the bundle of another trust
 * domain cannot be read, what was known of it before stays: it must not keep news of others away.
 * @throws BulwarkError AGENT_TRUST_REFUSED when the rest is not what it should be
 */
export function parseKnownBundles(text: string, before?: KnownBundles): KnownBundles {
  try {
    const { own, trust_domains: domains } = JSON.parse(text) as {
      readonly own: readonly string[];
      readonly trust_domains: Readonly<Record<string, unknown>>;
    };
    const entries = Object.entries(domains);
    if (entries.length > LIMITS.trustBundlesMax * 2) throw new Error('too many trust domains');
    const byDomain = new Map<TrustDomain, DomainBundle>();
    for (const [name, document] of entries) {
      const trustDomain = parseTrustDomain(name);
      const kept = own.includes(name) ? undefined : before?.byDomain.get(trustDomain);
      const bundle = own.includes(name)
        ? domainBundle(document)
        : (readableBundle(document) ?? kept);
      if (bundle) byDomain.set(trustDomain, bundle);
    }
    return { own: own.map(parseTrustDomain), byDomain };
  } catch (cause) {
    const reason = isBulwarkError(cause) ? cause.message : 'it does not parse';
    const message = `the trust bundles from the control plane are not used: ${reason}`;
    throw new BulwarkError('AGENT_TRUST_REFUSED', message, { data: { reason }, cause });
  }
}

function readableBundle(document: unknown): DomainBundle | undefined {
  try {
    return domainBundle(document);
  } catch (error) {
    if (isBulwarkError(error)) return undefined;
    throw error;
  }
}

function domainBundle(document: unknown): DomainBundle {
  const { roots, jwtAuthorities } = bundleOf(document);
  const certificates = roots.map(parseCertificate);
  const other = certificates.find(({ isCa }) => !isCa);
  if (other) {
    const message = `the certificate ${other.serial} is none of an authority`;
    throw new BulwarkError('SPIFFE_BUNDLE_INVALID', message);
  }
  return {
    rootsPem: certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join(''),
    jwtAuthorities,
  };
}
