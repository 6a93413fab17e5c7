import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkloadAgentSettings } from '#agent/agent-settings.ts';
import { type WorkloadOptions, workloadKey } from '#agent/config/workload-options.ts';
import { ConnectionWatch } from '#agent/connections/connection-watch.ts';
import { AllowPolicies } from '#agent/denials/allow-policies.ts';
import { AuditLog } from '#agent/denials/audit-log.ts';
import { RefusalLog } from '#agent/denials/refusal-log.ts';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { buildBootstrap, nodeId } from '#agent/envoy/bootstrap.ts';
import type { EnvoyBinary } from '#agent/envoy/find-envoy.ts';
import { type ChosenPorts, choosePorts, compulsoryPorts } from '#agent/envoy/ports.ts';
import type { Unready } from '#agent/envoy/readiness.ts';
import { EnvoySupervisor, type LaunchPlan } from '#agent/envoy/supervisor.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import { SecretOutlets } from '#agent/output/secret-outlets.ts';
import type { ProcessGuard } from '#agent/process/process-guard.ts';
import { FileSecrets } from '#agent/sds/file-secrets.ts';
import { SdsServer } from '#agent/sds/sds-server.ts';
import { WORKLOAD_SECRET_NAME } from '#agent/sds/secret-names.ts';
import { SecretCache } from '#agent/secrets/secret-cache.ts';
import type { SecretState } from '#agent/secrets/secret-state.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { WorkloadStatus } from '#agent/status.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import { WorkloadTrust } from '#agent/trust/workload-trust.ts';
import type { Clock } from '#base/clock.ts';
import { OWNER_ONLY } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { CertificateAuthority, TokenAuthority } from '#caclient/ca-client.ts';
import type { ServerRoots } from '#caclient/server-roots.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

export interface WorkloadAgentOptions {
  readonly workload: WorkloadOptions;
  readonly identity: SpiffeId;
  /** The same account under other names of the trust domain. */
  readonly identityAliases: readonly SpiffeId[];
  /** Folder for its sockets; made here. */
  readonly directory: string;
  /** Where key and certificate are written for the application; nowhere when undefined. */
  readonly filesDirectory: string | undefined;
  readonly binary: EnvoyBinary;
  readonly settings: WorkloadAgentSettings;
  /** Called when the workload became ready or ceased to be, or an attempt failed. */
  readonly onChange: () => void;
  /** Called when a certificate could not be had. */
  readonly onFailure: (error: unknown) => void;
}

export interface WorkloadAgentDeps {
  readonly authority: CertificateAuthority & TokenAuthority;
  /** What the control plane is verified against. */
  readonly roots: ServerRoots;
  readonly tokens: TokenSource;
  /** What outlives this agent; nothing does when left out. */
  readonly state?: SecretState | undefined;
  readonly guard: ProcessGuard;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
}

/**
 * One workload: its certificate, the SDS that hands it out, and its Envoy, which starts with the
 * first certificate.
 */
export class WorkloadAgent implements Component {
  readonly name: string;
  readonly #options: WorkloadAgentOptions;
  readonly #deps: WorkloadAgentDeps;
  readonly #cache: SecretCache;
  readonly #sds: SdsServer;
  readonly #files: FileSecrets;
  readonly #outlets: SecretOutlets;
  readonly #trust: WorkloadTrust;
  readonly #envoy: EnvoySupervisor;
  readonly #refusals: RefusalLog;
  readonly #connections: ConnectionWatch;
  readonly #sdsSocket: string;
  readonly #adminSocket: string;
  #ports: ChosenPorts | undefined;

  constructor(options: WorkloadAgentOptions, deps: WorkloadAgentDeps) {
    const { workload, directory, filesDirectory } = options;
    this.name = workloadKey(workload);
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child({ workload: this.name }) };
    this.#sdsSocket = join(directory, 'sds.sock');
    this.#adminSocket = join(directory, 'admin.sock');
    const admin = new EnvoyAdmin(this.#adminSocket);
    const policies = new AllowPolicies({ admin, clock: deps.clock });
    this.#refusals = new RefusalLog({ ...this.#deps, policies });
    this.#connections = this.#createConnectionWatch(admin);
    this.#cache = this.#createCache();
    const onAnswer = (): void => this.#trust.answered();
    this.#files = this.#createFileSecrets();
    const files = this.#files;
    this.#sds = new SdsServer({ socketPath: this.#sdsSocket }, { ...this.#deps, onAnswer, files });
    this.#outlets = new SecretOutlets({ directory, filesDirectory }, this.#deps);
    this.#trust = this.#createTrust();
    this.#envoy = this.#createSupervisor(admin);
  }

  /** Begins; resolves when SDS listens. Readiness shows in `status`. */
  async start(): Promise<void> {
    await mkdir(this.#options.directory, { mode: 0o700 });
    await this.#sds.start();
    await this.#outlets.start();
    const { state, roots } = this.#deps;
    const kept = await state?.read();
    if (kept) {
      await roots.recall(kept.secret.rootsPem, kept.savedAt);
      this.#cache.restore(kept.secret);
    }
    await this.#cache.start();
    this.#connections.start();
  }

  /** Tells callers to go elsewhere, without ending anything. */
  drainInbound(): Promise<void> {
    return this.#envoy.drainInbound();
  }

  /** @param options.drain false to leave out the time for open connections */
  async close(options: { readonly drain?: boolean } = {}): Promise<void> {
    // First the cache: a first certificate that comes now must not start an Envoy.
    await this.#cache.close();
    this.#connections.close();
    await this.#trust.close();
    await this.#envoy.close(options);
    await this.#outlets.close();
    this.#files.close();
    await this.#sds.close();
  }

  get status(): WorkloadStatus {
    const { workload, identity } = this.#options;
    const { renewAt, renewals, failures, lastError } = this.#cache.status;
    const secret = this.#cache.current;
    const unready = this.#findUnready(secret);
    return {
      name: workload.name,
      namespace: workload.namespace,
      serviceAccount: workload.serviceAccount,
      identity: secret?.identity ?? identity,
      mode: workload.mode,
      ready: unready === undefined,
      unready,
      certificate: secret && {
        serial: secret.serial,
        notBefore: instant(secret.notBeforeAt),
        notAfter: instant(secret.notAfterAt),
        renewAt: instant(renewAt ?? secret.notAfterAt),
      },
      renewals,
      failures,
      lastError,
      secrets: Object.fromEntries(this.#sds.outcomes),
      envoy: this.#envoy.status,
      adminSocket: this.#adminSocket,
      workloadSocket: this.#outlets.socketPath,
      ports: this.#ports,
      refusals: this.#refusals.recent,
    };
  }

  /** Brings the metrics that depend on the time up to date. */
  updateMetrics(): void {
    const secret = this.#cache.current;
    if (!secret) return;
    const labels = { resource_name: WORKLOAD_SECRET_NAME, workload: this.name } as const;
    const leftSeconds = (secret.notAfterAt - this.#deps.clock.now()) / 1000;
    this.#deps.metrics.certExpirySeconds.set(labels, leftSeconds);
  }

  #findUnready(secret: WorkloadSecret | undefined): Unready | undefined {
    if (!secret) {
      const message = this.#cache.status.lastError ?? 'there is no certificate yet';
      return { reason: 'CertificateMissing', message };
    }
    if (secret.notAfterAt < this.#deps.clock.now())
      return { reason: 'CertificateExpired', message: `it expired ${instant(secret.notAfterAt)}` };
    const { state, unready } = this.#envoy.status;
    if (state === 'ready') return undefined;
    return unready ?? { reason: 'EnvoyNotReady', message: `Envoy is ${state}` };
  }

  #createCache(): SecretCache {
    const { workload, identity, identityAliases, settings, onFailure } = this.#options;
    const options = {
      identity,
      identityAliases,
      namespace: workload.namespace,
      serviceAccount: workload.serviceAccount,
      audience: settings.audience,
      ttlMs: settings.secretTtlMs,
      key: settings.key,
      onSecret: (secret: WorkloadSecret) => {
        this.#trust.renewed(secret);
        void this.#envoy.start();
        this.#options.onChange();
      },
      onFailure: (error: unknown) => {
        onFailure(error);
        this.#options.onChange();
      },
    };
    return new SecretCache(options, this.#deps);
  }

  #createTrust(): WorkloadTrust {
    const { workload, settings } = this.#options;
    const { name, namespace, serviceAccount } = workload;
    const options = {
      address: settings.discoveryAddress,
      serverName: settings.discoveryServerName,
      node: {
        id: nodeId({ workload, clusterDomain: settings.clusterDomain }),
        metadata: { NAME: name, NAMESPACE: namespace, SERVICE_ACCOUNT: serviceAccount },
      },
      renewSoon: (...asked: Parameters<SecretCache['renewSoon']>) =>
        this.#cache.renewSoon(...asked),
      connections: () => this.#connections.report(),
    };
    const sds = {
      publish: (secret: WorkloadSecret) => {
        this.#sds.publish(secret);
        this.#outlets.publish(secret);
      },
      verdictOn: (name: string) => this.#sds.verdictOn(name),
      wants: (name: string) => this.#sds.wants(name),
    };
    return new WorkloadTrust(options, { ...this.#deps, sds });
  }

  #createConnectionWatch(admin: EnvoyAdmin): ConnectionWatch {
    const options = {
      intervalMs: this.#options.settings.connectionReportMs,
      run: () => this.#envoy.status.pid,
      onChange: () => this.#trust.connectionsChanged(),
    };
    return new ConnectionWatch(options, { ...this.#deps, admin });
  }

  #createFileSecrets(): FileSecrets {
    return new FileSecrets(
      {
        directories: this.#options.settings.secretDirectories,
        onChange: (name) => this.#sds.changed(name),
        isWanted: (name) => this.#sds.wants(name),
      },
      this.#deps,
    );
  }

  #createSupervisor(admin: EnvoyAdmin): EnvoySupervisor {
    const { binary, settings, onChange } = this.#options;
    const audit = new AuditLog(this.#deps);
    const options = {
      ...settings,
      binary,
      prepare: ({ portsAreTaken }: { portsAreTaken: boolean }) => this.#prepare(portsAreTaken),
      onAccessLine: (line: string) => {
        this.#connections.take(line);
        void this.#refusals.take(line);
        audit.take(line);
      },
      onChange,
    };
    return new EnvoySupervisor(options, { ...this.#deps, admin });
  }

  /** Ports stay over restarts, since peers know them, until one of them is taken. */
  async #prepare(portsAreTaken: boolean): Promise<LaunchPlan> {
    const { workload, directory, settings } = this.#options;
    if (workload.mode === 'explicit' && (portsAreTaken || !this.#ports))
      this.#ports = await choosePorts(workload);
    const ports = this.#ports;
    const bootstrap = buildBootstrap({
      ...settings,
      workload,
      ports,
      sdsSocket: this.#sdsSocket,
      adminSocket: this.#adminSocket,
    });
    const bootstrapPath = join(directory, 'envoy.json');
    await writeFile(bootstrapPath, JSON.stringify(bootstrap, undefined, 1), { mode: OWNER_ONLY });
    const compulsory = ports ? compulsoryPorts(ports) : [];
    const upstreams = ports?.upstreams.map(({ listen }) => listen) ?? [];
    return { bootstrapPath, compulsoryPorts: compulsory, ports: [...compulsory, ...upstreams] };
  }
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
