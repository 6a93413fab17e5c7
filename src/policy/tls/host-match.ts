/**
 * The host that a DestinationRule means: a name without dots is a service of the rule's own
 * namespace, anything else is taken as it is, in lower case (Istio, "DestinationRule").
 */
export function resolveHost(host: string, namespace: string, clusterDomain: string): string {
  const lower = host.toLowerCase();
  if (lower.includes('.') || lower === '*') return lower;
  return `${lower}.${namespace}.svc.${clusterDomain}`;
}

/**
 * Whether a pattern (`*`, `*.example.com`, or a plain host) covers a host, or all that another
 * pattern covers. As Istio has it, `*example.com` covers `example.com` itself.
 */
export function hostCovers(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*')) return pattern === host;
  return host.endsWith(pattern.slice(1));
}

/**
 * Sorts the narrower pattern first: plain hosts before wildcards, long ones before short ones, then
 * by letters (Istio, "host names": so that the order never hangs on how they came).
 */
export function narrowerFirst(a: string, b: string): number {
  const wild = Number(a.startsWith('*')) - Number(b.startsWith('*'));
  return wild || b.length - a.length || Number(a > b) - Number(a < b);
}
