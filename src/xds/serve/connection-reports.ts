import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import { type TrustPeerIdentity, workloadKey } from '#xds/serve/trust-peers.ts';

/** What an agent saw of the connections to one port. Instants in milliseconds since 1970. */
export interface PortConnections {
  /** 0 = all ports that have no filter chain of their own. */
  readonly port: number;
  /** Connections with mutual TLS of the mesh. */
  readonly tls: number;
  readonly plaintext: number;
  /** HTTP connections without mutual TLS that are open. */
  readonly open: number;
  /** The last time that somebody came, or was there, without mutual TLS. */
  readonly plaintextAt: number | undefined;
  /** Those callers, the latest first. */
  readonly callers: readonly { readonly address: string; readonly lastAt: number }[];
}

/** What the agent of a workload saw of the connections to it. */
export interface Connections {
  /** Since when it looks. Milliseconds since 1970. */
  readonly since: number;
  readonly ports: readonly PortConnections[];
  /** The providers of external authorization that it asked; absent where there are none. */
  readonly providers?: readonly ProviderAnswers[];
}

/** How it went when a workload asked a provider last. */
export interface ProviderAnswers {
  readonly name: string;
  /** `flaky`: some of the questions got an answer. */
  readonly state: 'answering' | 'flaky' | 'failing';
}

interface Entry {
  readonly stream: unknown;
  readonly connections: Connections;
}

/** The metadata of a node in which agents tell of connections. */
export const CONNECTIONS_FIELD = 'BULWARK_CONNECTIONS';

/**
 * What agents tell of the connections to their workloads. A report counts as long as the stream is
 * open that it came on: of a workload whose agent is away nothing is known.
 */
export class ConnectionReports {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  #onProviders: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `listener` is called when a workload tells something else of providers than before. */
  onProviders(listener: () => void): void {
    this.#onProviders = listener;
  }

  /**
   * Takes what an agent tells on a stream.
   * @param text JSON, as ConnectionReport of the agent has it
   * @returns why it was not taken; undefined when it was
   */
  take(workload: TrustPeerIdentity, stream: unknown, text: unknown): string | undefined {
    if (typeof text !== 'string' || text.length > LIMITS.connectionReportBytesMax)
      return 'it is no text, or too long';
    try {
      const connections = parseReport(JSON.parse(text), this.#clock.now());
      const before = this.of(workload)?.providers;
      this.#entries.set(workloadKey(workload), { stream, connections });
      if (!isDeepStrictEqual(before, connections.providers)) this.#onProviders();
      return undefined;
    } catch (error) {
      if (error instanceof ReportProblem || error instanceof SyntaxError) return error.message;
      throw error;
    }
  }

  /** A stream of the workload ended. */
  closed(workload: TrustPeerIdentity, stream: unknown): void {
    const key = workloadKey(workload);
    const entry = this.#entries.get(key);
    if (!entry || entry.stream !== stream) return;
    this.#entries.delete(key);
    if (entry.connections.providers) this.#onProviders();
  }

  /** What is known of the connections to a workload. */
  of(workload: Pick<TrustPeerIdentity, 'identity' | 'nodeId'>): Connections | undefined {
    return this.#entries.get(workloadKey(workload))?.connections;
  }
}

class ReportProblem extends Error {}

/** `now`: an agent tells how long ago, for its clock may be another. */
function parseReport(value: unknown, now: number): Connections {
  const report = mapAt(value, 'the report');
  const ports = listAt(report.ports, 'ports', LIMITS.connectionPortsMax);
  const ago = (map: Json, key: string): number => now - numberAt(map, key);
  const providers = listAt(report.providers ?? [], 'providers', LIMITS.reportedProvidersMax);
  return {
    ...(providers.length > 0 && { providers: providers.map(providerOf) }),
    since: ago(report, 'sinceMs'),
    ports: ports.map((entry) => {
      const port = mapAt(entry, 'a port');
      const callers = listAt(port.callers, 'callers', LIMITS.connectionCallersMax);
      return {
        port: numberAt(port, 'port'),
        tls: numberAt(port, 'tls'),
        plaintext: numberAt(port, 'plaintext'),
        open: numberAt(port, 'open'),
        plaintextAt: port.plaintextMs === undefined ? undefined : ago(port, 'plaintextMs'),
        callers: callers.map((one) => {
          const caller = mapAt(one, 'a caller');
          return { address: addressAt(caller), lastAt: ago(caller, 'ms') };
        }),
      };
    }),
  };
}

type Json = Readonly<Record<string, unknown>>;

function mapAt(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ReportProblem(`${what} is no map`);
  return value as Json;
}

function listAt(value: unknown, what: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > lengthMax)
    throw new ReportProblem(`${what} is no list of at most ${lengthMax}`);
  return value;
}

function numberAt(map: Json, key: string): number {
  const value = map[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new ReportProblem(`${key} is no count`);
  return value;
}

const STATES = ['answering', 'flaky', 'failing'] as const;
const NAME_LENGTH_MAX = 253;

function providerOf(value: unknown): ProviderAnswers {
  const { name, state } = mapAt(value, 'a provider');
  const known = STATES.find((one) => one === state);
  if (typeof name !== 'string' || name.length > NAME_LENGTH_MAX || known === undefined)
    throw new ReportProblem('a provider has no name or no state');
  return { name, state: known };
}

function addressAt({ address }: Json): string {
  if (typeof address !== 'string' || isIP(address) === 0)
    throw new ReportProblem('the address of a caller is none');
  return address;
}
