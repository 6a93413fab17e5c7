import {
  COUNTS_PATH,
  type ConnectionCount,
  type PlaintextCaller,
  parseCounts,
  parsePlaintextLine,
} from '#agent/connections/connection-counts.ts';
import { ProviderAnswers, type ProviderReport } from '#agent/connections/provider-answers.ts';
import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';

/** What the control plane is told, as JSON. Milliseconds are how long ago. */
export interface ConnectionReport {
  /** Since when connections are watched. */
  readonly sinceMs: number;
  readonly ports: readonly PortReport[];
  /** Those that were asked; left out where none was. */
  readonly providers?: readonly ProviderReport[];
}

/** What was seen of one port since then; port 0 = all that have no filter chain of their own. */
export interface PortReport {
  readonly port: number;
  /** Connections with mutual TLS of the mesh. */
  readonly tls: number;
  readonly plaintext: number;
  /** HTTP connections without mutual TLS that are open. */
  readonly open: number;
  /** The last time that somebody came, or was there, without mutual TLS. */
  readonly plaintextMs?: number;
  /** Those callers, the latest first. */
  readonly callers: readonly { readonly address: string; readonly ms: number }[];
}

export interface ConnectionWatchOptions {
  /** How often Envoy is asked, and the control plane told at most. */
  readonly intervalMs: number;
  /** Tells one run of Envoy from the next; undefined while none runs. */
  readonly run: () => number | undefined;
  /** Called when there is something to tell. */
  readonly onChange: () => void;
}

export interface ConnectionWatchDeps {
  readonly admin: Pick<EnvoyAdmin, 'get'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<AgentMetrics, 'connections'>;
}

/** What is known of one port. Instants by the monotonic clock. */
interface PortRecord {
  tls: number;
  plaintext: number;
  open: number;
  plaintextAtMs: number | undefined;
  readonly callers: Map<string, number>;
}

const SECOND_MS = 1000;
/** Looks in a row that may fail. */
const FAILURES_MAX = 3;

/**
 * Counts who connects to a workload with mutual TLS and who without, from what its Envoy counts
 * anyway and a line for each connection without. Asks Envoy, never a caller's request; so what a
 * look costs does not depend on the traffic.
 */
export class ConnectionWatch {
  readonly #options: ConnectionWatchOptions;
  readonly #deps: ConnectionWatchDeps;
  readonly #ports = new Map<number, PortRecord>();
  readonly #providers = new ProviderAnswers();
  /** What Envoy said last, by name. */
  #counts: ReadonlyMap<string, number> = new Map();
  #run: number | undefined;
  #sinceMs: number | undefined;
  #timer: Timer | undefined;
  #hasNews = false;
  #failures = 0;
  #isClosed = false;
  #secondMs = Number.NEGATIVE_INFINITY;
  #linesInSecond = 0;

  constructor(options: ConnectionWatchOptions, deps: ConnectionWatchDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Begins to look. */
  start(): void {
    if (this.#isClosed) return;
    this.#timer = this.#deps.clock.after(this.#options.intervalMs, () => {
      void this.look().finally(() => this.start());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** Takes a line of the access log; more than so many in a second are not worth their cost. */
  take(line: string): void {
    const caller = parsePlaintextLine(line);
    if (!caller || !this.#mayTake()) return;
    const record = this.#record(caller.port);
    if (record) this.#note(record, caller);
  }

  /** Asks Envoy once; one look that fails is made up for by the next. */
  async look(): Promise<void> {
    const run = this.#options.run();
    if (run === undefined) return;
    let counts: readonly ConnectionCount[];
    let text: string;
    try {
      const { status, body } = await this.#deps.admin.get(COUNTS_PATH);
      if (this.#isClosed || run !== this.#options.run()) return;
      if (status !== 200) return this.#failed(`status ${status}`);
      text = body;
      counts = parseCounts(body);
    } catch (error) {
      if (!isBulwarkError(error)) throw error;
      return this.#failed(error.message);
    }
    this.#failures = 0;
    const isFirst = run !== this.#run;
    if (isFirst) this.#newRun(run);
    this.#update(counts);
    if (this.#providers.take(text, isFirst)) this.#hasNews = true;
    if (!this.#hasNews) return;
    this.#hasNews = false;
    this.#options.onChange();
  }

  /** What is known now; undefined while nothing is. */
  report(): ConnectionReport | undefined {
    if (this.#sinceMs === undefined) return undefined;
    const nowMs = this.#deps.clock.monotonicMs();
    const ago = (atMs: number): number => Math.max(0, Math.round(nowMs - atMs));
    const ports = [...this.#ports].sort(([a], [b]) => a - b);
    const providers = this.#providers.report();
    return {
      ...(providers.length > 0 && { providers }),
      sinceMs: ago(this.#sinceMs),
      ports: ports.map(([port, { tls, plaintext, open, plaintextAtMs, callers }]) => ({
        port,
        tls,
        plaintext,
        open,
        ...(plaintextAtMs !== undefined && { plaintextMs: ago(plaintextAtMs) }),
        callers: [...callers].reverse().map(([address, atMs]) => ({ address, ms: ago(atMs) })),
      })),
    };
  }

  /** Nobody may rest on what is not looked at: the watch begins anew. */
  #failed(reason: string): void {
    this.#deps.log.debug('Envoy does not tell its connections', { reason });
    this.#failures += 1;
    if (this.#failures < FAILURES_MAX || this.#sinceMs === undefined || this.#isClosed) return;
    this.#sinceMs = this.#deps.clock.monotonicMs();
    this.#options.onChange();
  }

  #newRun(run: number): void {
    this.#run = run;
    this.#sinceMs ??= this.#deps.clock.monotonicMs();
    this.#hasNews = true;
    this.#counts = new Map();
  }

  /** A number begins at nothing with each run of Envoy, and when all it is about went away. */
  #update(counts: readonly ConnectionCount[]): void {
    const before = this.#counts;
    const open = new Map<number, number>();
    for (const { name, port, what, value } of counts) {
      const record = this.#record(port);
      if (!record) continue;
      if (what === 'open') {
        open.set(port, (open.get(port) ?? 0) + value);
        continue;
      }
      const last = before.get(name) ?? 0;
      const more = value >= last ? value - last : value;
      if (more === 0) continue;
      record[what] += more;
      this.#deps.metrics.connections.inc({ security: what }, more);
      if (what === 'plaintext') record.plaintextAtMs = this.#deps.clock.monotonicMs();
      this.#hasNews = true;
    }
    this.#counts = new Map(counts.map(({ name, value }) => [name, value]));
    for (const [port, record] of this.#ports) this.#setOpen(record, open.get(port) ?? 0);
  }

  /** Whoever is there, or was at the last look, came or was there since. */
  #setOpen(record: PortRecord, open: number): void {
    if (open > 0 || record.open > 0) record.plaintextAtMs = this.#deps.clock.monotonicMs();
    if (open !== record.open) this.#hasNews = true;
    record.open = open;
  }

  /** Undefined where there are too many. */
  #record(port: number): PortRecord | undefined {
    let record = this.#ports.get(port);
    if (!record && this.#ports.size < LIMITS.connectionPortsMax) {
      record = { tls: 0, plaintext: 0, open: 0, plaintextAtMs: undefined, callers: new Map() };
      this.#ports.set(port, record);
    }
    return record;
  }

  /** Callers are kept in the order in which they were seen last; the oldest makes room. */
  #note(record: PortRecord, { address }: PlaintextCaller): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const { callers } = record;
    callers.delete(address);
    callers.set(address, nowMs);
    const [oldest] = callers.keys();
    if (oldest !== undefined && callers.size > LIMITS.connectionCallersMax) callers.delete(oldest);
    record.plaintextAtMs = nowMs;
    this.#hasNews = true;
  }

  #mayTake(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#secondMs = nowMs;
      this.#linesInSecond = 0;
    }
    this.#linesInSecond += 1;
    return this.#linesInSecond <= LIMITS.connectionLinesPerSecondMax;
  }
}
