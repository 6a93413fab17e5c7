import { type EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { logEnvoyLine, parseBindConflict, parseEnvoyLogLine } from '#agent/envoy/envoy-log.ts';
import { EnvoyProcess, type ProcessExit } from '#agent/envoy/envoy-process.ts';
import type { EnvoyBinary } from '#agent/envoy/find-envoy.ts';
import { findUnready, parseStats, type Unready } from '#agent/envoy/readiness.ts';
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

/** Between looks at an Envoy that starts: quick at first, then slower, for as long as it takes. */
const START_LOOK_MS = { min: 20, max: 2000, growth: 1.3 };
/** Between looks at one that serves. */
const HEALTH_LOOK_MS = 10_000;
/** Failed looks in a row after which it is ended and started anew. */
const FAILED_LOOKS_MAX = 3;
/** Without any answer from its admin interface for so long after the start, it is started anew. */
const START_ANSWER_MS_MAX = 30_000;
/** Pauses before a restart. A run that was ready for a while starts the count anew. */
const RESTART_DELAY = { delayMsMin: 200, delayMsMax: 30_000 };
const STABLE_MS = 30_000;
/** Between looks at open connections while draining. */
const DRAIN_LOOK_MS = 100;
/** From SIGTERM to SIGKILL. */
const TERMINATE_MS_MAX = 5000;

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

  /** Begins; readiness shows in `status`. */
  async start(): Promise<void> {
    this.#running ??= this.#run();
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
    if (this.#state !== 'ready') return;
    await this.#post('/drain_listeners?graceful&inboundonly');
  }

  /**
   * Ends Envoy: no new work, time for open connections, SIGTERM, and SIGKILL when that does not
   * help.
   * @param options.drain false to leave out the time for open connections
   */
  async close(options: { readonly drain?: boolean } = {}): Promise<void> {
    const wasReady = this.#state === 'ready';
    this.#closing.abort();
    if (this.#envoy && wasReady && (options.drain ?? true)) await this.#drain();
    await this.#terminate();
    await this.#running;
    this.#change('stopped');
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
  async #watch(plan: LaunchPlan, ended: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const startedAtMs = clock.monotonicMs();
    let lookMs = START_LOOK_MS.min;
    let failedLooks = 0;
    while (!ended.aborted && !this.#closing.signal.aborted) {
      const unready = await this.#look(plan);
      if (ended.aborted || this.#closing.signal.aborted) return;
      if (unready === undefined) {
        failedLooks = 0;
        this.#change('ready');
      } else if (this.#state === 'starting') {
        this.#change('starting', unready);
        if (unready.reason === SILENT && clock.monotonicMs() - startedAtMs > START_ANSWER_MS_MAX)
          this.#giveUp(unready);
      } else {
        failedLooks += 1;
        this.#change('unhealthy', unready);
        if (failedLooks >= FAILED_LOOKS_MAX) this.#giveUp(unready);
      }
      if (this.#state === 'starting')
        lookMs = Math.min(START_LOOK_MS.max, lookMs * START_LOOK_MS.growth);
      else lookMs = HEALTH_LOOK_MS;
      await delay(clock, lookMs, ended);
    }
  }

  /**
   * Why it does not serve. Once it served, the control plane may be away: only Envoy itself counts.
   */
  async #look(plan: LaunchPlan): Promise<Unready | undefined> {
    const { admin } = this.#deps;
    try {
      if (this.#state === 'starting') return await findUnready(admin, plan.compulsoryPorts);
      const { status } = await admin.get('/ready');
      return status === 200 ? undefined : { reason: 'NotLive', message: `Envoy answers ${status}` };
    } catch (error) {
      return { reason: SILENT, message: describeError(error) };
    }
  }

  #giveUp(unready: Unready): void {
    this.#deps.log.error('Envoy does not serve any more; ending it', { ...unready });
    this.#envoy?.signal('SIGKILL');
  }

  async #drain(): Promise<void> {
    const { clock, admin } = this.#deps;
    const envoy = this.#envoy;
    if (!envoy || !(await this.#post('/drain_listeners?graceful'))) return;
    this.#change('draining');
    const endMs = clock.monotonicMs() + this.#options.drainMs;
    while (clock.monotonicMs() < endMs && this.#envoy === envoy) {
      if ((await openConnections(admin)) === 0) return;
      await delay(clock, DRAIN_LOOK_MS);
    }
  }

  async #terminate(): Promise<void> {
    const envoy = this.#envoy;
    if (!envoy) return;
    envoy.signal('SIGTERM');
    const kill = this.#deps.clock.after(TERMINATE_MS_MAX, () => envoy.signal('SIGKILL'));
    await envoy.exited.catch(() => undefined);
    kill.cancel();
  }

  async #post(path: string): Promise<boolean> {
    try {
      return (await this.#deps.admin.post(path)).status === 200;
    } catch (error) {
      this.#deps.log.debug('Envoy does not answer', { path, error });
      return false;
    }
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

/** No answer on the admin socket. */
const SILENT = 'NoAnswer';

/**
 * Connections to the listeners, not counting that of the admin interface; 0 when Envoy does not
 * answer.
 */
async function openConnections(admin: EnvoyAdmin): Promise<number> {
  try {
    const { body } = await admin.get('/stats?filter=%5Elistener%5C..*downstream_cx_active%24');
    const counts = [...parseStats(body)].filter(([name]) => !name.startsWith('listener.admin.'));
    return counts.reduce((sum, [, count]) => sum + count, 0);
  } catch {
    return 0;
  }
}
