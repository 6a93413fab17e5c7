import {
  checkedAddress,
  filesDirectoryOf,
  required,
  statePathOf,
  workloadSettings,
} from '#agent/agent-settings.ts';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { ENVOY_VERSION_TESTED, findEnvoy } from '#agent/envoy/find-envoy.ts';
import { type AgentMetrics, createAgentMetrics } from '#agent/metrics.ts';
import { IdleMemory } from '#agent/process/idle-memory.ts';
import { ProcessGuard } from '#agent/process/process-guard.ts';
import { RunDirectory } from '#agent/run-directory.ts';
import { SecretState } from '#agent/secrets/secret-state.ts';
import type { AgentStatus } from '#agent/status.ts';
import { StatusServer } from '#agent/status-server.ts';
import { tokenSourceOf } from '#agent/tokens/token-source-of.ts';
import { TrustConnections } from '#agent/trust/trust-connections.ts';
import { WorkloadAgent } from '#agent/workload-agent.ts';
import type { Clock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { Lanes } from '#base/lanes.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { parseTrustDomain, type SpiffeId, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

/**
 * Certificates that are asked for at one time: a hundred at once would be ready no sooner, and what
 * they take in memory would never be given back.
 */
const CERTIFICATES_AT_ONCE = 8;

/** What an agent is to do. */
export interface AgentOptions {
  readonly settings: Settings;
  readonly workloads: readonly WorkloadOptions[];
  /** The PATH to look for Envoy on. */
  readonly searchPath: string | undefined;
}

export interface AgentDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly metrics: Metrics;
}

/** How to wait for readiness. */
export interface WaitOptions {
  /** Milliseconds after which to give up; never when left out. */
  readonly withinMs?: number;
  /** Give up at once on what waiting cannot heal, such as a token that cannot be read. */
  readonly failFast?: boolean;
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal;
}

/**
 * A node agent: gets a certificate for each of its workloads, keeps it fresh, hands it to the
 * workload's Envoy, and keeps that Envoy running. One process for one workload or for all of a
 * machine.
 */
export class Agent implements Component {
  readonly name = 'agent';
  readonly #options: AgentOptions;
  readonly #deps: AgentDeps;
  readonly #metrics: AgentMetrics;
  readonly #guard: ProcessGuard;
  readonly #memory: IdleMemory;
  readonly #lanes = new Lanes(CERTIFICATES_AT_ONCE);
  readonly #watchers = new Set<(failure?: unknown) => void>();
  #directory: RunDirectory | undefined;
  #statusServer: StatusServer | undefined;
  #authority: CaClient | undefined;
  #workloads: readonly WorkloadAgent[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: AgentOptions, deps: AgentDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#metrics = createAgentMetrics(deps.metrics);
    this.#guard = new ProcessGuard({ searchPath: options.searchPath }, deps);
    this.#memory = new IdleMemory(deps);
  }

  /**
   * Begins; resolves when the status socket answers. Workloads become ready by and by.
   * @throws BulwarkError AGENT_CONFIG_INVALID, AGENT_ENVOY_MISSING, AGENT_ENVOY_UNSUPPORTED,
   *   AGENT_RUN_DIRECTORY_UNUSABLE, NET_PORT_TAKEN (another agent uses the run directory)
   */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.close({ drain: false });
      throw error;
    }
  }

  /** What the status socket shows. */
  get status(): AgentStatus {
    const workloads = this.#workloads.map((workload) => workload.status);
    return {
      ready: workloads.every(({ ready }) => ready),
      pid: process.pid,
      runDirectory: this.#directory?.path ?? '',
      statusSocket: this.#directory?.statusSocket ?? '',
      workloads,
    };
  }

  /**
   * Resolves with the status when every workload is ready.
   * @throws BulwarkError AGENT_NOT_READY with the reasons, or the failure itself when it fails fast
   */
  async whenReady({ withinMs, failFast, signal }: WaitOptions = {}): Promise<AgentStatus> {
    const outcome = await new Promise<unknown>((resolve) => {
      const look = (failure?: unknown): void => {
        if (failFast && failure !== undefined && isPermanent(failure)) settle(failure);
        else if (this.status.ready) settle(undefined);
      };
      const abort = (): void => settle(this.#notReady('it was asked to end'));
      const timer =
        withinMs === undefined
          ? undefined
          : this.#deps.clock.after(withinMs, () => {
              settle(this.#notReady(`${formatDurationMs(withinMs)} are over`));
            });
      const settle = (result: unknown): void => {
        timer?.cancel();
        this.#watchers.delete(look);
        signal?.removeEventListener('abort', abort);
        resolve(result);
      };
      this.#watchers.add(look);
      signal?.addEventListener('abort', abort);
      if (signal?.aborted) abort();
      else look();
    });
    if (outcome !== undefined) throw outcome;
    return this.status;
  }

  /** Tells callers of the workloads to go elsewhere, without ending anything. */
  async drainInbound(): Promise<void> {
    await Promise.all(this.#workloads.map((workload) => workload.drainInbound()));
  }

  /**
   * Ends everything: Envoys (gently), sockets, files.
   * @param options.drain false to leave out the time for open connections
   */
  close(options: { readonly drain?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #start(): Promise<void> {
    const { settings, searchPath } = this.#options;
    const needsEnvoy = this.#options.workloads.some(({ mode }) => mode !== 'identity');
    const binary = needsEnvoy
      ? await findEnvoy({ envoyPath: settings.envoyPath, searchPath })
      : undefined;
    if (binary && binary.version !== ENVOY_VERSION_TESTED) {
      const fields = { ...binary, tested: ENVOY_VERSION_TESTED };
      this.#deps.log.warn('an Envoy of another version than was tested', fields);
    }
    const server = {
      address: checkedAddress(settings.discoveryAddress),
      serverName: settings.discoveryServerName,
    };
    const rootFile = required('caRoot', settings.caRoot);
    const authority = new CaClient({ ...server, rootFile }, this.#deps);
    this.#authority = authority;
    const { roots } = authority;
    const sharedClient = (rootsPem: string) => authority.sharedClient(rootsPem);
    const connections = new TrustConnections(server, { ...this.#deps, roots, sharedClient });
    const trustDomain = parseTrustDomain(settings.trustDomain);
    const aliases = settings.trustDomainAliases.map(parseTrustDomain);
    const directory = await RunDirectory.open(settings.runDirectory);
    this.#directory = directory;
    await this.#startStatus(directory);
    await directory.clean();
    await this.#guard.start();
    this.#workloads = this.#options.workloads.map((workload, index) => {
      const { namespace, serviceAccount } = workload;
      const [identity, ...identityAliases] = [trustDomain, ...aliases].map((domain) =>
        workloadSpiffeId({ trustDomain: domain, namespace, serviceAccount }),
      ) as [SpiffeId, ...SpiffeId[]];
      const path = statePathOf(workload, settings);
      const stateOptions = path === undefined ? undefined : { path, identity, identityAliases };
      return new WorkloadAgent(
        {
          workload,
          identity,
          identityAliases,
          directory: directory.workload(index),
          filesDirectory: filesDirectoryOf(workload, settings, this.#options.workloads.length),
          binary: workload.mode === 'identity' ? undefined : binary,
          settings: workloadSettings(settings),
          onChange: () => this.#tell(),
          onFailure: (error) => this.#tell(error),
        },
        {
          ...this.#deps,
          metrics: this.#metrics,
          authority,
          lanes: this.#lanes,
          roots,
          connections,
          tokens: tokenSourceOf(workload, settings, { ...this.#deps, metrics: this.#metrics }),
          state: stateOptions && new SecretState(stateOptions, this.#deps),
          guard: this.#guard,
        },
      );
    });
    await Promise.all(this.#workloads.map((workload) => workload.start()));
  }

  async #startStatus(directory: RunDirectory): Promise<void> {
    const server = new StatusServer(
      {
        socketPath: directory.statusSocket,
        status: () => this.status,
        metrics: async () => {
          await Promise.all(this.#workloads.map((workload) => workload.updateMetrics()));
          return this.#deps.metrics.text();
        },
      },
      this.#deps,
    );
    try {
      await server.start();
    } catch (error) {
      await directory.abandon();
      throw error;
    }
    this.#statusServer = server;
  }

  async #close(options: { readonly drain?: boolean }): Promise<void> {
    this.#memory.close();
    await Promise.all(this.#workloads.map((workload) => workload.close(options)));
    await this.#guard.close();
    this.#authority?.close();
    // Without the status socket the folder was never ours.
    if (!this.#statusServer) return;
    await this.#statusServer.close();
    await this.#directory?.close();
  }

  #tell(failure?: unknown): void {
    this.#memory.noteWork();
    for (const watcher of this.#watchers) watcher(failure);
  }

  #notReady(why: string): BulwarkError {
    const waiting = this.status.workloads.filter(({ ready }) => !ready);
    const reasons = waiting.map(
      ({ name, namespace, unready }) => `${name}.${namespace}: ${unready?.message ?? 'unknown'}`,
    );
    return new BulwarkError('AGENT_NOT_READY', `not ready, ${why}: ${reasons.join('; ')}`, {
      data: { waiting: waiting.map(({ name, unready }) => ({ name, ...unready })) },
    });
  }
}

/**
 * Failures that heal by themselves: the server may be about to start, or to learn of a new service
 * account.
 */
function isPermanent(failure: unknown): boolean {
  return !(
    isBulwarkError(failure, 'AGENT_CA_UNREACHABLE') ||
    isBulwarkError(failure, 'AGENT_TOKEN_REFUSED') ||
    isBulwarkError(failure, 'GRPC_FAILED')
  );
}
