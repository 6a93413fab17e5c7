import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkloadAgentSettings } from '#agent/agent-settings.ts';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { type ConnectionReport, ConnectionWatch } from '#agent/connections/connection-watch.ts';
import { AllowPolicies } from '#agent/denials/allow-policies.ts';
import { AuditLog } from '#agent/denials/audit-log.ts';
import { PolicyCounts } from '#agent/denials/policy-counts.ts';
import { RefusalLog } from '#agent/denials/refusal-log.ts';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { buildBootstrap } from '#agent/envoy/bootstrap.ts';
import type { EnvoyBinary } from '#agent/envoy/find-envoy.ts';
import { HeldPorts } from '#agent/envoy/held-ports.ts';
import { type ChosenPorts, choosePorts, compulsoryPorts } from '#agent/envoy/ports.ts';
import type { Unready } from '#agent/envoy/readiness.ts';
import { EnvoySupervisor, type LaunchPlan } from '#agent/envoy/supervisor.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import type { ProcessGuard } from '#agent/process/process-guard.ts';
import type { ProxyStatus } from '#agent/status.ts';
import type { Clock } from '#base/clock.ts';
import { OWNER_ONLY } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';

export interface WorkloadProxyOptions {
  readonly workload: WorkloadOptions;
  /** Folder for its files and sockets. */
  readonly directory: string;
  /** Where it gets its secrets. */
  readonly sdsSocket: string;
  readonly binary: EnvoyBinary;
  readonly settings: WorkloadAgentSettings;
  /** Called when the Envoy became ready or ceased to be. */
  readonly onChange: () => void;
  /** Called when more is known of who connects. */
  readonly onConnections: () => void;
}

export interface WorkloadProxyDeps {
  readonly guard: ProcessGuard;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
}

/** The Envoy of one workload, what it writes into its log, and who connects to it. */
export class WorkloadProxy {
  readonly #options: WorkloadProxyOptions;
  readonly #envoy: EnvoySupervisor;
  readonly #refusals: RefusalLog;
  readonly #connections: ConnectionWatch;
  readonly #policyCounts: PolicyCounts;
  readonly #adminSocket: string;
  readonly #holdSocket: string;
  readonly #heldPorts: HeldPorts;
  #ports: ChosenPorts | undefined;

  constructor(options: WorkloadProxyOptions, deps: WorkloadProxyDeps) {
    this.#options = options;
    this.#adminSocket = join(options.directory, 'admin.sock');
    this.#holdSocket = join(options.directory, 'hold.sock');
    this.#heldPorts = new HeldPorts(this.#holdSocket, deps);
    const admin = new EnvoyAdmin(this.#adminSocket);
    const policies = new AllowPolicies({ admin, clock: deps.clock });
    this.#refusals = new RefusalLog({ ...deps, policies });
    const audit = new AuditLog(deps);
    this.#connections = new ConnectionWatch(
      {
        intervalMs: options.settings.connectionReportMs,
        run: () => this.#envoy.status.pid,
        onChange: options.onConnections,
      },
      { ...deps, admin },
    );
    this.#policyCounts = new PolicyCounts({
      ...deps,
      admin,
      run: () => this.#envoy.status.pid,
    });
    this.#envoy = new EnvoySupervisor(
      {
        ...options.settings,
        binary: options.binary,
        prepare: ({ portsAreTaken }) => this.#prepare(portsAreTaken),
        onAccessLine: (line) => {
          this.#connections.take(line);
          void this.#refusals.take(line);
          audit.take(line);
        },
        onChange: options.onChange,
      },
      { ...deps, admin },
    );
  }

  /** Starts the Envoy, and begins to watch who connects; resolves when it was started. */
  start(): Promise<void> {
    this.#connections.start();
    return this.#envoy.start();
  }

  /** The Envoy took a secret, or refused one: it may be about to serve. */
  secretsTaken(): void {
    this.#envoy.lookSoon();
  }

  /** Tells callers to go elsewhere, without ending anything. */
  drainInbound(): Promise<void> {
    return this.#envoy.drainInbound();
  }

  /** Who connects to the workload, as far as that is known. */
  report(): ConnectionReport | undefined {
    return this.#connections.report();
  }

  /** Brings the counts of what its rules decided up to date. */
  lookAtPolicies(): Promise<void> {
    return this.#policyCounts.look();
  }

  /** Stops looking at what it does. */
  stopWatching(): void {
    this.#connections.close();
  }

  /** @param options.drain false to leave out the time for open connections */
  async close(options: { readonly drain?: boolean } = {}): Promise<void> {
    await this.#envoy.close(options);
    await this.#heldPorts.close();
  }

  get status(): ProxyStatus {
    return {
      envoy: this.#envoy.status,
      adminSocket: this.#adminSocket,
      ports: this.#ports,
      refusals: this.#refusals.recent,
    };
  }

  /** Why the Envoy is not usable; undefined when it is. */
  get unready(): Unready | undefined {
    const { state, unready } = this.#envoy.status;
    if (state === 'ready') return undefined;
    return unready ?? { reason: 'EnvoyNotReady', message: `Envoy is ${state}` };
  }

  /** Ports stay over restarts, since peers know them, until one of them is taken. */
  async #prepare(portsAreTaken: boolean): Promise<LaunchPlan> {
    const { workload, directory, settings, sdsSocket } = this.#options;
    await this.#heldPorts.start();
    if (workload.mode === 'explicit' && (portsAreTaken || !this.#ports))
      this.#ports = await choosePorts(workload);
    const ports = this.#ports;
    const sockets = { sdsSocket, holdSocket: this.#holdSocket, adminSocket: this.#adminSocket };
    const bootstrap = buildBootstrap({ ...settings, workload, ports, ...sockets });
    const bootstrapPath = join(directory, 'envoy.json');
    await writeFile(bootstrapPath, JSON.stringify(bootstrap, undefined, 1), { mode: OWNER_ONLY });
    const compulsory = ports ? compulsoryPorts(ports) : [];
    const upstreams = ports?.upstreams.map(({ listen }) => listen) ?? [];
    return { bootstrapPath, compulsoryPorts: compulsory, ports: [...compulsory, ...upstreams] };
  }
}
