import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { beginDrain, connectionsEnd, terminate } from '#agent/envoy/drain.ts';
import { logEnvoyLine, parseBindConflict, parseEnvoyLogLine } from '#agent/envoy/envoy-log.ts';
import { EnvoyProcess, type ProcessExit } from '#agent/envoy/envoy-process.ts';
import type { EnvoyBinary } from '#agent/envoy/find-envoy.ts';
import type { Unready } from '#agent/envoy/readiness.ts';
import { watchEnvoy } from '#agent/envoy/watch.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import type { ProcessGuard } from '#agent/process/process-guard.ts';
import { Backoff } from '#base/backoff.ts';
import { type Clock, delay } from '#base/clock.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';

/**
 * - `starting`: it runs and does not serve yet.
 * - `ready`: it serves.
 * - `unhealthy`: it served and does not answer now.
 * - `waiting`: it ended and will be started again, after a pause.
 * - `draining`: no new work; open connections may end.
 * - `stopped`: not started yet, or ended for good.
 */
export type EnvoyState = 'starting' | 'ready' | 'unhealthy' | 'waiting' | 'draining' | 'stopped';

/** What the status shows of an Envoy. */
export interface EnvoyStatus {
  readonly state: EnvoyState;
  readonly pid: number | undefined;
  readonly version: string;
  /** Starts after the first one. */
  readonly restarts: number;
  /** Why it does not serve. */
  readonly unready: Unready | undefined;
  /** How the last run ended. */
  readonly lastExit: ProcessExit | undefined;
}

/** What one run of Envoy needs. */
export interface LaunchPlan {
  readonly bootstrapPath: string;
  /** Ports that must be open before it counts as ready. */
  readonly compulsoryPorts: readonly number[];
  /** All its ports: if another process has one of them, new ones are needed. */
  readonly ports: readonly number[];
}

export interface SupervisorOptions {
  readonly binary: EnvoyBinary;
  readonly concurrency: number;
  readonly drainMs: number;
  readonly verbose: boolean;
  /**
   * Makes ready for a start.
   * @param portsAreTaken choose others than last time
   */
  readonly prepare: (options: { portsAreTaken: boolean }) => Promise<LaunchPlan>;
  /** Takes each line of the access log. */
  readonly onAccessLine: (line: string) => void;
  /** Called when the state changed. */
  readonly onChange: () => void;
}

export interface SupervisorDeps {
  readonly admin: EnvoyAdmin;
  readonly guard: ProcessGuard;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly metrics: AgentMetrics;
}

/** Pauses before a restart. A run that was ready for a while starts the count anew. */
const RESTART_DELAY = { delayMsMin: 200, delayMsMax: 30_000 };
const STABLE_MS = 30_000;
/**
 * Keeps one Envoy running: starts it, waits until it serves, watches it, starts it again, and ends
 * it gently.
 */
export class EnvoySupervisor implements Component {
  readonly name = 'envoy';
  readonly #options: SupervisorOptions;
  readonly #deps: SupervisorDeps;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #firstRun = Promise.withResolvers<void>();
  #news = new AbortController();
  #running: Promise<void> | undefined;
  #envoy: EnvoyProcess | undefined;
  #state: EnvoyState = 'stopped';
  #unready: Unready | undefined;
  #lastExit: ProcessExit | undefined;
  #starts = 0;
  #portsAreTaken = false;

  constructor(options: SupervisorOptions, deps: SupervisorDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(RESTART_DELAY, deps.random);
  }

  /** Begins; resolves when it was started, or could not be. Readiness shows in `status`. */
  start(): Promise<void> {
    this.#running ??= this.#run().finally(this.#firstRun.resolve);
    return this.#firstRun.promise;
  }

  /** Looks sooner whether it serves: something came that it waits for. */
  lookSoon(): void {
    this.#news.abort();
    this.#news = new AbortController();
  }

  get status(): EnvoyStatus {
    return {
      state: this.#state,
      pid: this.#envoy?.pid,
      version: this.#options.binary.version,
      restarts: Math.max(0, this.#starts - 1),
      unready: this.#unready,
      lastExit: this.#lastExit,
    };
  }

  /**
   * Tells callers of the workload to go elsewhere, without ending anything: for an application
   * about to stop.
   */
  async drainInbound(): Promise<void> {
    if (this.#state === 'ready') await beginDrain(this.#deps.admin, 'inbound');
  }

  /**
   * Ends Envoy: no new work, time for open connections, SIGTERM, and SIGKILL when that does not
   * help.
   * @param options.drain false to leave out the time for open connections
   */
  async close(options: { readonly drain?: boolean } = {}): Promise<void> {
    const drain = this.#state === 'ready' && (options.drain ?? true);
    this.#closing.abort();
    if (this.#envoy) await this.#end(this.#envoy, drain);
    await this.#running;
    this.#change('stopped');
  }

  async #end(envoy: EnvoyProcess, drain: boolean): Promise<void> {
    const { admin, clock } = this.#deps;
    if (drain && (await beginDrain(admin, 'all'))) {
      this.#change('draining');
      const ended = new AbortController();
      const abort = (): void => ended.abort();
      envoy.exited.then(abort, abort);
      await connectionsEnd(this.#options.drainMs, ended.signal, this.#deps);
    }
    await terminate(envoy, clock);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const startedAtMs = this.#deps.clock.monotonicMs();
      try {
        await this.#runOnce();
      } catch (error) {
        this.#deps.log.error('Envoy was not started', { error });
        this.#change('waiting', { reason: 'StartFailed', message: describeError(error) });
        this.#firstRun.resolve();
      }
      if (signal.aborted) break;
      if (this.#deps.clock.monotonicMs() - startedAtMs > STABLE_MS) this.#backoff.reset();
      await delay(this.#deps.clock, this.#backoff.nextDelayMs(), signal);
    }
  }

  async #runOnce(): Promise<void> {
    const plan = await this.#options.prepare({ portsAreTaken: this.#portsAreTaken });
    this.#portsAreTaken = false;
    if (this.#closing.signal.aborted) return;
    const envoy = this.#launch(plan);
    this.#envoy = envoy;
    this.#firstRun.resolve();
    this.#starts += 1;
    if (this.#starts > 1) this.#deps.metrics.envoyRestarts.inc();
    this.#change('starting', { reason: 'Starting', message: 'Envoy starts' });
    const ended = new AbortController();
    const watching = this.#watch(plan, ended.signal);
    try {
      const exit = await envoy.exited;
      this.#lastExit = exit;
      this.#reportExit(exit);
    } finally {
      this.#envoy = undefined;
      ended.abort();
      await watching;
    }
  }

  #launch(plan: LaunchPlan): EnvoyProcess {
    const { binary, concurrency, drainMs, verbose, onAccessLine } = this.#options;
    const options = {
      path: binary.path,
      bootstrapPath: plan.bootstrapPath,
      concurrency,
      drainMs,
      verbose,
      onAccessLine,
      onLogLine: (line: string) => this.#takeLogLine(line, plan),
      onDroppedLine: () => this.#deps.metrics.droppedLines.inc(),
    };
    return new EnvoyProcess(options, this.#deps);
  }

  #takeLogLine(text: string, plan: LaunchPlan): void {
    const line = parseEnvoyLogLine(text);
    const closing = this.#closing.signal.aborted;
    logEnvoyLine(
      this.#deps.log,
      closing && line.level === 'warn' ? { ...line, level: 'debug' } : line,
    );
    const port = parseBindConflict(line.text);
    if (port === undefined || !plan.ports.includes(port) || this.#portsAreTaken) return;
    this.#deps.log.warn('another process took a port of Envoy; starting with others', { port });
    this.#portsAreTaken = true;
    this.#backoff.reset();
    this.#envoy?.signal('SIGTERM');
  }

  #reportExit(exit: ProcessExit): void {
    if (this.#closing.signal.aborted || this.#portsAreTaken) return;
    const how = exit.signal ?? `code ${exit.code}`;
    const error = new BulwarkError('AGENT_ENVOY_EXITED', `Envoy ended by itself (${how})`);
    this.#deps.log.error('Envoy ended by itself; starting it again', { error, ...exit });
    this.#change('waiting', { reason: 'Exited', message: error.message });
  }

  /** Looks at the running Envoy until it ends. */
  #watch(plan: LaunchPlan, ended: AbortSignal): Promise<void> {
    const options = {
      compulsoryPorts: plan.compulsoryPorts,
      news: () => this.#news.signal,
      signal: AbortSignal.any([ended, this.#closing.signal]),
      onLook: (unready: Unready | undefined) => {
        const served = this.#state === 'ready' || this.#state === 'unhealthy';
        if (unready === undefined) this.#change('ready');
        else this.#change(served ? 'unhealthy' : 'starting', unready);
      },
      onHopeless: (unready: Unready) => {
        this.#deps.log.error('Envoy does not serve any more; ending it', { ...unready });
        this.#envoy?.signal('SIGKILL');
      },
    };
    return watchEnvoy(options, this.#deps);
  }

  #change(state: EnvoyState, unready?: Unready): void {
    const same = state === this.#state && unready?.reason === this.#unready?.reason;
    this.#state = state;
    this.#unready = unready;
    if (same) return;
    if (state === 'ready') this.#deps.log.info('Envoy serves', { pid: this.#envoy?.pid });
    else this.#deps.log.debug('Envoy', { state, ...unready });
    this.#options.onChange();
  }
}
