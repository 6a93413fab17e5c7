import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkloadAgentSettings } from '#agent/agent-settings.ts';
import { type WorkloadOptions, workloadKey } from '#agent/config/workload-options.ts';
import { nodeId } from '#agent/envoy/bootstrap.ts';
import type { EnvoyBinary } from '#agent/envoy/find-envoy.ts';
import type { Unready } from '#agent/envoy/readiness.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import { mixerCheckService } from '#agent/mixer/check-service.ts';
import { SecretOutlets } from '#agent/output/secret-outlets.ts';
import type { ProcessGuard } from '#agent/process/process-guard.ts';
import { FileSecrets } from '#agent/sds/file-secrets.ts';
import { type PushOutcome, SdsServer } from '#agent/sds/sds-server.ts';
import { WORKLOAD_SECRET_NAME } from '#agent/sds/secret-names.ts';
import { SecretCache } from '#agent/secrets/secret-cache.ts';
import type { SecretState } from '#agent/secrets/secret-state.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { ProxyStatus, WorkloadStatus } from '#agent/status.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import type { TrustConnections } from '#agent/trust/trust-connections.ts';
import { WorkloadTrust } from '#agent/trust/workload-trust.ts';
import { WorkloadProxy } from '#agent/workload-proxy.ts';
import type { Clock } from '#base/clock.ts';
import type { Lanes } from '#base/lanes.ts';
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
  /** Undefined for a workload that has no Envoy from us. */
  readonly binary: EnvoyBinary | undefined;
  readonly settings: WorkloadAgentSettings;
  /** Called when the workload became ready or ceased to be, or an attempt failed. */
  readonly onChange: () => void;
  /** Called when a certificate could not be had. */
  readonly onFailure: (error: unknown) => void;
}

export interface WorkloadAgentDeps {
  readonly authority: CertificateAuthority & TokenAuthority;
  /** In which certificates are asked for. */
  readonly lanes: Lanes;
  /** What the control plane is verified against. */
  readonly roots: ServerRoots;
  /** On which the control plane is asked what to trust. */
  readonly connections: TrustConnections;
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
 * One workload: its certificate, what hands it out, and its Envoy, if it has one. The Envoy starts
 * at once and lets nothing in before it has the certificate.
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
  readonly #proxy: WorkloadProxy | undefined;
  readonly #sdsSocket: string;

  constructor(options: WorkloadAgentOptions, deps: WorkloadAgentDeps) {
    const { workload, directory, filesDirectory, onChange } = options;
    this.name = workloadKey(workload);
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child({ workload: this.name }) };
    this.#sdsSocket = join(directory, 'sds.sock');
    this.#cache = this.#createCache();
    const onAnswer = (): void => {
      this.#trust.answered();
      this.#proxy?.secretsTaken();
    };
    this.#files = this.#createFileSecrets();
    const files = this.#files;
    const sds = { socketPath: this.#sdsSocket, services: [mixerCheckService()] };
    this.#sds = new SdsServer(sds, { ...this.#deps, onAnswer, files });
    this.#outlets = new SecretOutlets({ directory, filesDirectory, onChange }, this.#deps);
    this.#trust = this.#createTrust();
    this.#proxy = this.#createProxy();
  }

  /** Begins; resolves when SDS listens. Readiness shows in `status`. */
  async start(): Promise<void> {
    await mkdir(this.#options.directory, { mode: 0o700 });
    await this.#sds.start();
    // It waits for its secrets by itself, and takes longer to get up than a certificate to come:
    // so nothing else is done before it is on its way.
    await this.#proxy?.start();
    await this.#outlets.start();
    const { state, roots } = this.#deps;
    const kept = await state?.read();
    if (kept) {
      await roots.recall(kept.secret.rootsPem, kept.savedAt);
      this.#cache.restore(kept.secret);
    }
    await this.#cache.start();
  }

  /** Tells callers to go elsewhere, without ending anything. */
  async drainInbound(): Promise<void> {
    await this.#proxy?.drainInbound();
  }

  /** @param options.drain false to leave out the time for open connections */
  async close(options: { readonly drain?: boolean } = {}): Promise<void> {
    await this.#cache.close();
    this.#proxy?.stopWatching();
    await this.#trust.close();
    await this.#proxy?.close(options);
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
      workloadSocket: this.#outlets.socketPath,
      sdsSocket: this.#sdsSocket,
      ...(this.#proxy?.status ?? NO_PROXY),
    };
  }

  /** Brings the metrics up to date that change by themselves. */
  async updateMetrics(): Promise<void> {
    await this.#proxy?.lookAtPolicies();
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
    return this.#outlets.unready ?? this.#proxy?.unready;
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
      node: {
        id: nodeId({ workload, clusterDomain: settings.clusterDomain }),
        metadata: { NAME: name, NAMESPACE: namespace, SERVICE_ACCOUNT: serviceAccount },
      },
      renewSoon: (...asked: Parameters<SecretCache['renewSoon']>) =>
        this.#cache.renewSoon(...asked),
      connections: () => this.#proxy?.report(),
    };
    const sds = {
      publish: (secret: WorkloadSecret) => {
        this.#sds.publish(secret);
        this.#outlets.publish(secret);
      },
      verdictOn: (name: string) => this.#verdictOn(name),
      wants: (name: string) => this.#sds.wants(name),
    };
    return new WorkloadTrust(options, { ...this.#deps, sds });
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

  #createProxy(): WorkloadProxy | undefined {
    const { binary, onChange } = this.#options;
    if (!binary) return undefined;
    const onConnections = (): void => this.#trust.connectionsChanged();
    const options = {
      ...this.#options,
      binary,
      sdsSocket: this.#sdsSocket,
      onChange,
      onConnections,
    };
    return new WorkloadProxy(options, this.#deps);
  }

  /**
   * What becomes of a secret. Where there is no Envoy of ours, and nobody else asks for it by SDS,
   * it is taken as soon as it is handed out.
   */
  #verdictOn(name: string): PushOutcome | undefined {
    if (this.#proxy || this.#sds.wants(name)) return this.#sds.verdictOn(name);
    return { version: '', state: 'accepted', reason: undefined };
  }
}

/** Of a workload without an Envoy from us. */
const NO_PROXY: ProxyStatus = {
  envoy: undefined,
  adminSocket: undefined,
  ports: undefined,
  refusals: [],
};

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
