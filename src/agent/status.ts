import type { WorkloadMode } from '#agent/config/workload-options.ts';
import type { RefusalRecord } from '#agent/denials/refusal-log.ts';
import type { ChosenPorts } from '#agent/envoy/ports.ts';
import type { Unready } from '#agent/envoy/readiness.ts';
import type { EnvoyStatus } from '#agent/envoy/supervisor.ts';
import type { PushOutcome } from '#agent/sds/sds-server.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** The certificate of a workload as the status shows it; instants in RFC 3339. */
export interface CertificateStatus {
  /** Lower case hex. */
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly renewAt: string;
}

/** The Envoy of a workload. */
export interface ProxyStatus {
  /** Undefined for a workload without an Envoy from us. */
  readonly envoy: EnvoyStatus | undefined;
  /** Envoy's admin interface. */
  readonly adminSocket: string | undefined;
  /** Explicit mode only. */
  readonly ports: ChosenPorts | undefined;
  /** What the Envoy refused, the latest ones, oldest first. */
  readonly refusals: readonly RefusalRecord[];
}

/** One workload. */
export interface WorkloadStatus extends ProxyStatus {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly identity: SpiffeId;
  readonly mode: WorkloadMode;
  readonly ready: boolean;
  /** Why it is not. */
  readonly unready: Unready | undefined;
  readonly certificate: CertificateStatus | undefined;
  /** Certificates after the first one. */
  readonly renewals: number;
  /** Failed attempts to get one since the last success, and the last failure. */
  readonly failures: number;
  readonly lastError: string | undefined;
  /** What Envoy did with the last push of each secret. */
  readonly secrets: Readonly<Record<string, PushOutcome>>;
  /** The SPIFFE Workload API. */
  readonly workloadSocket: string;
  /** Envoy's secret discovery service, for Envoys that others start too. */
  readonly sdsSocket: string;
}

/** The whole agent: `GET /status` on its status socket. */
export interface AgentStatus {
  /** Whether every workload is. */
  readonly ready: boolean;
  readonly pid: number;
  readonly runDirectory: string;
  readonly statusSocket: string;
  readonly workloads: readonly WorkloadStatus[];
}
