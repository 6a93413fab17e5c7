/** Connections to one port of a workload, as its Envoy counted them since it started. */
export interface PortCounts {
  /** With mutual TLS of the mesh. */
  readonly tls: number;
  readonly plaintext: number;
  /** HTTP connections without mutual TLS that are open. */
  readonly open: number;
}

/** The port under which connections to every port that has no name of its own are counted. */
export const OTHER_PORTS = 0;

const NAMES = '^(http|tcp)\\.inbound_0\\.0\\.0\\.0_.*\\.downstream_cx_(total|active)$';

/** Where Envoy's admin interface tells the counts; what was never used is left out. */
export const COUNTS_PATH = `/stats?usedonly&filter=${encodeURIComponent(NAMES)}`;

const LINE =
  /^(http|tcp)\.inbound_0\.0\.0\.0_(\d+|other);(plaintext)?\.downstream_cx_(total|active): (\d+)$/;

/**
 * The counts by port out of Envoy's statistics in text form, as the inbound filter chains name
 * them. Lines about anything else are left out.
 */
export function parseCounts(text: string): ReadonlyMap<number, PortCounts> {
  const ports = new Map<number, PortCounts>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (!match) continue;
    const [, , name, plaintext, what, value] = match;
    const port = portOf(name);
    const before = ports.get(port) ?? { tls: 0, plaintext: 0, open: 0 };
    const count = Number(value);
    if (what === 'active') {
      if (plaintext) ports.set(port, { ...before, open: before.open + count });
    } else if (plaintext) {
      ports.set(port, { ...before, plaintext: before.plaintext + count });
    } else {
      ports.set(port, { ...before, tls: before.tls + count });
    }
  }
  return ports;
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
