import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';

/** Why an Envoy is not usable. */
export interface Unready {
  /** CamelCase, for programs. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** What the decision is made from. */
interface Sample {
  readonly stats: ReadonlyMap<string, number>;
  /** Ports of its active listeners; asked for only when all else holds. */
  readonly openPorts: () => Promise<ReadonlySet<number>>;
  /** Ports that the workload cannot do without. */
  readonly compulsoryPorts: readonly number[];
}

type Predicate = (sample: Sample) => Promise<Unready | undefined> | Unready | undefined;

const STATS = {
  state: 'server.state',
  workers: 'listener_manager.workers_started',
  clusters: 'cluster_manager.cds.update_success',
  listeners: 'listener_manager.lds.update_success',
  connected: 'control_plane.connected_state',
} as const;

const STATS_PATH = `/stats?filter=${encodeURIComponent(
  `^(${Object.values(STATS).join('|').replaceAll('.', '\\.')})$`,
)}`;

/** First that finds something wins; what comes later needs what comes earlier. */
const PREDICATES: readonly Predicate[] = [
  controlPlaneIsUnreachable,
  configurationIsMissing,
  serverIsNotLive,
  workersHaveNotStarted,
  compulsoryListenersAreMissing,
];

/**
 * Whether an Envoy serves: undefined when it does. An Envoy that was never configured does not,
 * whatever it says of itself.
 * @param compulsoryPorts ports that must be open, none for a redirected workload
 * @throws BulwarkError NET_CONNECTION_FAILED when Envoy does not answer
 */
export async function findUnready(
  admin: EnvoyAdmin,
  compulsoryPorts: readonly number[],
): Promise<Unready | undefined> {
  const { body } = await admin.get(STATS_PATH);
  const sample: Sample = {
    stats: parseStats(body),
    openPorts: () => readOpenPorts(admin),
    compulsoryPorts,
  };
  for (const predicate of PREDICATES) {
    const found = await predicate(sample);
    if (found) return found;
  }
  return undefined;
}

/** Envoy's text form of numbers: one `name: value` in each line. */
export function parseStats(text: string): ReadonlyMap<string, number> {
  const entries = text.split('\n').flatMap((line) => {
    const at = line.lastIndexOf(': ');
    return at < 0 ? [] : [[line.slice(0, at), Number(line.slice(at + 2))] as const];
  });
  return new Map(entries);
}

function controlPlaneIsUnreachable({ stats }: Sample): Unready | undefined {
  if ((stats.get(STATS.connected) ?? 0) > 0 || isConfigured(stats)) return undefined;
  return { reason: 'ControlPlaneUnreachable', message: 'no connection to the control plane' };
}

function configurationIsMissing({ stats }: Sample): Unready | undefined {
  if (isConfigured(stats)) return undefined;
  return { reason: 'ConfigurationMissing', message: 'the control plane sent no configuration' };
}

function isConfigured(stats: Sample['stats']): boolean {
  return (stats.get(STATS.clusters) ?? 0) > 0 && (stats.get(STATS.listeners) ?? 0) > 0;
}

function serverIsNotLive({ stats }: Sample): Unready | undefined {
  // envoy.admin.v3.ServerInfo.State: LIVE 0, DRAINING 1, PRE_INITIALIZING 2, INITIALIZING 3.
  if (stats.get(STATS.state) === 0) return undefined;
  return { reason: 'Initializing', message: 'Envoy still waits for parts of its configuration' };
}

function workersHaveNotStarted({ stats }: Sample): Unready | undefined {
  if (stats.get(STATS.workers) === 1) return undefined;
  return { reason: 'WorkersNotStarted', message: 'the workers of Envoy have not started' };
}

async function compulsoryListenersAreMissing(sample: Sample): Promise<Unready | undefined> {
  if (sample.compulsoryPorts.length === 0) return undefined;
  const open = await sample.openPorts();
  const missing = sample.compulsoryPorts.filter((port) => !open.has(port));
  if (missing.length === 0) return undefined;
  const message = `Envoy does not listen on ${missing.join(', ')} yet`;
  return { reason: 'ListenersMissing', message };
}

interface ListenerStatuses {
  readonly listener_statuses?: readonly {
    readonly local_address?: { readonly socket_address?: { readonly port_value?: number } };
    readonly additional_local_addresses?: readonly {
      readonly socket_address?: { readonly port_value?: number };
    }[];
  }[];
}

async function readOpenPorts(admin: EnvoyAdmin): Promise<ReadonlySet<number>> {
  const { body } = await admin.get('/listeners?format=json');
  const { listener_statuses: listeners = [] } = JSON.parse(body) as ListenerStatuses;
  const addresses = listeners.flatMap(({ local_address, additional_local_addresses }) => [
    local_address,
    ...(additional_local_addresses ?? []),
  ]);
  return new Set(addresses.flatMap((address) => address?.socket_address?.port_value ?? []));
}
