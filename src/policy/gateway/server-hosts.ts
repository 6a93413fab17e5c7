import { hostCovers } from '#policy/tls/host-match.ts';

/** The host of `namespace/host` or `host`, in lower case. */
export function hostOf(written: string): string {
  return written.slice(written.indexOf('/') + 1).toLowerCase();
}

/**
 * The hosts of a Gateway's server for which routes of a namespace may be: those written for every
 * namespace (`host`, any (`*`)), for this one (`ns/host`), or for the Gateway's own (`./host`).
 */
export function hostsForNamespace(
  hosts: readonly string[],
  namespace: string,
  own: string,
): readonly string[] {
  return hosts.flatMap((written) => {
    const slash = written.indexOf('/');
    const word = slash < 0 ? '*' : written.slice(0, slash);
    const meant = word === '.' ? own : word;
    return meant === '*' || meant === namespace ? [hostOf(written)] : [];
  });
}

/** What two lists of hosts have in common: of each pair the narrower host, each once. */
export function commonHosts(a: readonly string[], b: readonly string[]): readonly string[] {
  const common = a.flatMap((one) =>
    b.flatMap((other) => {
      if (hostCovers(other, one)) return [one];
      return hostCovers(one, other) ? [other] : [];
    }),
  );
  return [...new Set(common)];
}

/** Names that connections to a server are told by; none where every name is meant. */
export function serverNamesOf(hosts: readonly string[]): readonly string[] {
  const names = [...new Set(hosts.map(hostOf))].sort();
  return names.includes('*') ? [] : names;
}

/**
 * Of hosts that a proxy serves, the one that takes a name: itself, else the longest `*.x`, else
 * `*`. A `*` stands for at least one character, as Envoy has it.
 */
export function servedHost(hosts: Iterable<string>, name: string): string | undefined {
  const lower = name.toLowerCase();
  let best: string | undefined;
  for (const host of hosts) {
    if (host === lower) return host;
    const isWider = host === '*' || (host.startsWith('*') && lower.length >= host.length);
    if (!isWider || !lower.endsWith(host.slice(1))) continue;
    if (best === undefined || host.length > best.length) best = host;
  }
  return best;
}
