import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';

/** The ports a server listens on. */
export interface ServerPorts {
  readonly api: number;
  readonly secure: number;
  readonly monitoring: number;
}

const NAMES = ['api', 'secure', 'monitoring'] as const;

/**
 * The ports to listen on: the ones asked for, and for each 0 the one that this data folder had
 * before, so that agents and kubeconfigs find a restarted server; a new one when that is taken by
 * now.
 */
export async function choosePorts(
  wanted: ServerPorts,
  options: { readonly file: string; readonly host: string },
  log: Logger,
): Promise<ServerPorts> {
  const before = await keptPorts(options.file);
  const chosen: Record<string, number> = {};
  for (const name of NAMES) {
    const kept = before[name];
    if (wanted[name] !== 0 || kept === undefined) chosen[name] = wanted[name];
    else if (await isFree(kept, options.host)) chosen[name] = kept;
    else {
      log.warn('the port of the last run is taken; choosing another', { name, port: kept });
      chosen[name] = 0;
    }
  }
  return { api: chosen.api ?? 0, secure: chosen.secure ?? 0, monitoring: chosen.monitoring ?? 0 };
}

/** What `addresses.json` in the data folder says, for agents and tools on the same machine. */
export interface ServerAddresses {
  /** `https://HOST:PORT` of the API server. */
  readonly api: string;
  /** `HOST:PORT` of xDS and the certificate service. */
  readonly discovery: string;
  /** `http://HOST:PORT` of health and metrics. */
  readonly monitoring: string;
  /** `https://HOST:PORT` of the bundle endpoint, where there is one. */
  readonly bundleEndpoint?: string;
  readonly ports: ServerPorts;
}

/** Writes `addresses.json`, whole or not at all. */
export async function writeAddresses(file: string, addresses: ServerAddresses): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(addresses, null, 2)}\n`);
}

async function keptPorts(file: string): Promise<Partial<ServerPorts>> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    const { ports } = JSON.parse(text) as { ports?: Partial<ServerPorts> };
    return Object.fromEntries(
      Object.entries(ports ?? {}).filter(([, port]) => Number.isInteger(port) && port > 0),
    );
  } catch {
    return {}; // damaged: ports are chosen anew, nothing else depends on it
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host }, () => probe.close(() => resolve(true)));
  });
}
