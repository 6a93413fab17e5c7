import type { Secret } from '#base/secret.ts';

/**
 * A port of the application, and the port on which its Envoy takes calls for it (explicit mode).
 */
export interface AppPort {
  /** `http`, `grpc-api`, `tcp-db`: the name that the Service's targetPort may use. */
  readonly name: string;
  readonly port: number;
  /** 0 = a free one. */
  readonly listen: number;
}

/** A service that the application calls by a local port of its own (explicit mode). */
export interface Upstream {
  /** As in a URL: `datastore.datastore-ns` or a full DNS name. */
  readonly host: string;
  readonly port: number;
  /** The local port; 0 = a free one. */
  readonly listen: number;
}

/**
 * What is run for a workload: `explicit`, an Envoy with local listeners, no root needed;
 * `redirect`, an Envoy that traffic is redirected to; `gateway`, an Envoy beside no application,
 * with the ports of Gateways; `identity`, none: only keys and certificates, by SDS, the Workload
 * API and files.
 */
export type WorkloadMode = 'explicit' | 'redirect' | 'gateway' | 'identity';

/** One workload that the agent serves: who it is, and what its Envoy has to do. */
export interface WorkloadOptions {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Unique among the workloads of the agent, with its namespace. */
  readonly name: string;
  /** The WorkloadGroup to be registered in. */
  readonly group?: string | undefined;
  readonly mode: WorkloadMode;
  /** Addresses of the workload; peers call the first one. Never empty. */
  readonly addresses: readonly string[];
  /** The address that a gateway listens on; all of the machine when it is left out. */
  readonly bindAddress?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly AppPort[];
  readonly upstreams: readonly Upstream[];
  /** The port of the HTTP proxy on loopback (explicit mode); 0 = a free one. */
  readonly httpProxyPort: number;
  /** Where its token comes from: this file, else the API server that the kubeconfig names. */
  readonly tokenFile?: string | undefined;
  /** A join token, good for the first certificate; or the file that it is in. */
  readonly joinToken?: Secret<string> | undefined;
  readonly joinTokenFile?: string | undefined;
  /** Where its key and certificate are written, instead of where the settings say. */
  readonly outputCerts?: string | undefined;
  /** For this workload instead of the one in the settings. */
  readonly kubeconfig?: string | undefined;
}

/** How logs and the status name a workload: `frontend.photo-ns`. */
export function workloadKey({ name, namespace }: { name: string; namespace: string }): string {
  return `${name}.${namespace}`;
}
