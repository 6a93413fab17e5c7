/** The trust domain of the mesh, then its former names. */
export type TrustDomains = readonly [string, ...string[]];

/**
 * The principals that `principal` of a policy stands for. One that names a trust domain of ours (or
 * a pattern that covers one) stands for the same account in each of them, so that policies outlive
 * a change of the trust domain. Anything else stands for itself. The order is that of
 * `trustDomains`, as Istio has it.
 */
export function expandPrincipal(principal: string, trustDomains: TrustDomains): string[] {
  const [trustDomain = '', ...rest] = principal.split('/');
  // `<trust domain>/ns/<namespace>/sa/<account>`; of another form, or for any trust domain, there
  // is nothing to do.
  if (rest.length !== 4 || trustDomain === '*') return [principal];
  if (!trustDomains.some((ours) => covers(trustDomain, ours))) return [principal];
  const expanded = trustDomains.map((ours) =>
    trustDomain.startsWith('*') && ours.endsWith(trustDomain.slice(1))
      ? principal
      : [ours, ...rest].join('/'),
  );
  return [...new Set(expanded)];
}

function covers(pattern: string, trustDomain: string): boolean {
  if (pattern.startsWith('*')) return trustDomain.endsWith(pattern.slice(1));
  if (pattern.endsWith('*')) return trustDomain.startsWith(pattern.slice(0, -1));
  return pattern === trustDomain;
}
