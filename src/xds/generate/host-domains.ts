import { isIPv6 } from 'node:net';
import type { Service } from '#model/service.ts';

/** Who spells names. */
export interface DomainScope {
  /** Of the caller: names without a namespace are looked for here. */
  readonly namespace: string;
  readonly clusterDomain: string;
}

/**
 * Every way in which a caller may spell a service, the full name first: `b.foo.svc.cluster.local`,
 * `b.foo.svc`, `b.foo`, from the same namespace also `b`, and the service's addresses.
 */
export function domainsOf(service: Service, scope: DomainScope): readonly string[] {
  const { host, namespace, addresses } = service;
  const suffix = `.${namespace}.svc.${scope.clusterDomain}`;
  const plain = addresses.filter((address) => !address.includes('/'));
  const written = plain.map((address) => (isIPv6(address) ? `[${address}]` : address));
  if (!host.endsWith(suffix)) return [host, ...written];
  const name = host.slice(0, -suffix.length);
  const short = [`${name}.${namespace}.svc`, `${name}.${namespace}`];
  return [host, ...short, ...(scope.namespace === namespace ? [name] : []), ...written];
}

/** Domains for one thing, the most certain first. */
export interface DomainClaim<T> {
  readonly claimant: T;
  readonly domains: readonly string[];
}

/**
 * Gives each domain to one claimant, for Envoy takes each only once: full names before any other
 * spelling, then in the order of the claims. A claimant that gets nothing is left out.
 */
export function settleDomains<T>(claims: readonly DomainClaim<T>[]): readonly DomainClaim<T>[] {
  const owners = new Map<string, T>();
  const claim = (domain: string | undefined, claimant: T): void => {
    if (domain !== undefined && !owners.has(domain)) owners.set(domain, claimant);
  };
  for (const { claimant, domains } of claims) claim(domains[0], claimant);
  for (const { claimant, domains } of claims) {
    for (const domain of domains) claim(domain, claimant);
  }
  return claims
    .map(({ claimant, domains }) => ({
      claimant,
      domains: [...new Set(domains)].filter((domain) => owners.get(domain) === claimant),
    }))
    .filter(({ domains }) => domains.length > 0);
}
