import type { Upstream } from '#agent/config/workload-options.ts';

const PATTERN = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?):(\d{1,5})(?:=(\d{1,5}))?$/i;

/**
 * An upstream as users write it, `HOST:PORT` or `HOST:PORT=LOCALPORT`; undefined when it is none.
 */
export function parseUpstream(text: string): Upstream | undefined {
  const match = PATTERN.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  const listen = Number(match[4] ?? 0);
  if (port < 1 || port > 65_535 || listen > 65_535) return undefined;
  return { host: (match[1] ?? '').toLowerCase(), port, listen };
}

/**
 * The environment variable that tells an application where an upstream listens:
 * `datastore.datastore-ns:80` → `BULWARK_UPSTREAM_DATASTORE_DATASTORE_NS_80`.
 */
export function upstreamVariable({ host, port }: { host: string; port: number }): string {
  return `BULWARK_UPSTREAM_${host.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_${port}`;
}
