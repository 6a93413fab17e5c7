import { PROVIDER_COUNTS } from '#agent/connections/provider-answers.ts';
import { parseStats } from '#agent/envoy/readiness.ts';

/** One number of an Envoy about the connections to a port of its workload. */
export interface ConnectionCount {
  /** The name of the statistic. */
  readonly name: string;
  readonly port: number;
  /**
   * Connections since it was made: `tls` with mutual TLS of the mesh, `plaintext` without. `open`:
   * HTTP connections without, now.
   */
  readonly what: 'tls' | 'plaintext' | 'open';
  readonly value: number;
}

/** Connections to every port that has no name of its own are counted under this one. */
const OTHER_PORTS = 0;

const NAMES = '(http|tcp)\\.inbound_0\\.0\\.0\\.0_.*\\.downstream_cx_(total|active)';
const WANTED = `^(${NAMES}|${PROVIDER_COUNTS})$`;

/**
 * Where Envoy's admin interface tells the counts, and those of providers; what was never used is
 * left out.
 */
export const COUNTS_PATH = `/stats?usedonly&filter=${encodeURIComponent(WANTED)}`;

const NAME =
  /^(?:http|tcp)\.inbound_0\.0\.0\.0_(\d+|other);(plaintext)?\.downstream_cx_(total|active)$/;

/**
 * The counts out of Envoy's statistics in text form, as the inbound filter chains name them. Lines
 * about anything else are left out.
 */
export function parseCounts(text: string): readonly ConnectionCount[] {
  return [...parseStats(text)].flatMap(([name, value]) => {
    const [matched, port, plaintext, kind] = NAME.exec(name) ?? [];
    const what = kind === 'active' ? 'open' : plaintext ? 'plaintext' : 'tls';
    if (matched === undefined || (what === 'open' && !plaintext)) return [];
    return { name, port: portOf(port), what, value };
  });
}

/** A caller without mutual TLS, as Envoy wrote it down. */
export interface PlaintextCaller {
  readonly port: number;
  /** An IP address. */
  readonly address: string;
}

/** In every line that `parsePlaintextLine` does not ignore: others are not worth parsing. */
const HINT = '"plaintext"';
/** Names of filter chains whose connections have no mutual TLS of the mesh. */
const CHAIN = /^(\d+|other)-(plain|own-tls)-/;
const ADDRESS_LENGTH_MAX = 64;

/** Reads a line of the access log about a caller without mutual TLS; undefined for all others. */
export function parsePlaintextLine(text: string): PlaintextCaller | undefined {
  if (!text.includes(HINT)) return undefined;
  let line: Readonly<Record<string, unknown>>;
  try {
    line = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined; // not ours: something else wrote to Envoy's output
  }
  const { kind, chain, address } = line;
  if (kind !== 'plaintext' || typeof chain !== 'string' || typeof address !== 'string')
    return undefined;
  const match = CHAIN.exec(chain);
  if (!match || address.length > ADDRESS_LENGTH_MAX) return undefined;
  return { port: portOf(match[1]), address };
}

function portOf(name: string | undefined): number {
  return name === 'other' ? OTHER_PORTS : Number(name);
}
