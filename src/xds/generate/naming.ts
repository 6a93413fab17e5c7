import { credentialResource } from '#policy/tls/credential-name.ts';

/** Names of clusters that are not of a service, as Istio writes them. */
export const CLUSTER_NAMES = {
  /** Where an outbound connection was going anyway. */
  passthrough: 'PassthroughCluster',
  /** Nowhere. */
  blackHole: 'BlackHoleCluster',
  /** Where an inbound connection was going: a port of the workload that no service declares. */
  inboundPassthrough: 'InboundPassthroughCluster',
  /** The agent's SDS, in Envoy's bootstrap. */
  sds: 'sds-grpc',
  /** The control plane, in Envoy's bootstrap. */
  xds: 'xds-grpc',
  /** The agent, asked about requests. */
  agent: 'bulwark-agent',
} as const;

/** Ports to which a transparent redirection leads connections (Istio, "Ports used by Istio"). */
export const REDIRECT_PORTS = { outbound: 15001, inbound: 15006 } as const;

/**
 * The source address by which redirection rules know that a connection already passed the inbound
 * proxy.
 */
export const INBOUND_PASSTHROUGH_SOURCE = '127.0.0.6';

/** `outbound|80|v1|host`: calls to a service port; `subset` is '' for the whole service. */
export function outboundClusterName(port: number, subset: string, host: string): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** `inbound|8080||`: a port of the workload itself; also the name of its route. */
export function inboundClusterName(workloadPort: number): string {
  return `inbound|${workloadPort}||`;
}

/** `outbound_.80_._.host`: the server name that proxies of the mesh ask each other for. */
export function meshServerName(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** Names of the secrets that stand for objects of the API, as Istio writes them. */
export const CREDENTIAL = {
  keyPair: (name: string) => credentialResource(name),
  roots: (name: string) => {
    const resource = credentialResource(name);
    return resource.startsWith('configmap://') ? resource : `${resource}-cacert`;
  },
} as const;
