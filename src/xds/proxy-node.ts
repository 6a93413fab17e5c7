import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** Ports of a proxy in explicit mode, all on the workload's own host; chosen by the agent. */
export interface ExplicitPorts {
  /** Address that inbound listeners bind and peers connect to. */
  readonly inboundAddress: string;
  /** For each application port, the port on which the proxy takes calls for it. */
  readonly inbound: readonly {
    readonly name: string;
    readonly port: number;
    readonly listen: number;
  }[];
  /** The HTTP proxy listener (`http_proxy`), on loopback. */
  readonly httpProxyPort: number;
  /** Local listeners for single services, on loopback: for protocols other than HTTP. */
  readonly upstreams: readonly {
    readonly host: string;
    readonly port: number;
    readonly listen: number;
  }[];
}

/** Where a gateway listens, unless a server of a Gateway names an address itself. */
export interface GatewayPlace {
  /** `0.0.0.0` = every address of the machine. */
  readonly address: string;
}

/**
 * A proxy as the control plane knows it: who it is comes from its certificate, the rest from its
 * node message. `redirect`: traffic arrives by original destination on 15001 and 15006. `explicit`:
 * no redirection, no root.
 */
export interface ProxyNode {
  /**
   * `sidecar~<ip>~<workload>.<namespace>~<namespace>.svc.<domain>`, as Istio writes it; `router~…`
   * for a gateway.
   */
  readonly nodeId: string;
  readonly identity: SpiffeId;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly workloadName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
  readonly interception: 'redirect' | 'explicit';
  /** The WorkloadGroup under which the workload asks to be registered. */
  readonly group?: string | undefined;
  readonly explicit?: ExplicitPorts | undefined;
  /** Set where the proxy is a gateway and stands beside no workload. */
  readonly gateway?: GatewayPlace | undefined;
  /** The unix socket of the agent, where it can be asked about requests. */
  readonly agentSocket?: string | undefined;
  /** The unix socket by which the agent ends open connections to a port. */
  readonly holdSocket?: string | undefined;
  /** Envoy's version, `1.40.0`. */
  readonly envoyVersion: string;
}
