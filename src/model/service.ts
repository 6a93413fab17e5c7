import type { ApiObject } from '#api/object.ts';
import type { Protocol } from '#model/protocol.ts';

/** A port of a service, as callers see it. */
export interface ServicePort {
  /** '' when the port has no name. */
  readonly name: string;
  readonly port: number;
  /** The port of the workload behind it: by number, or by the name that a workload gives it. */
  readonly targetPort: number | string;
  readonly protocol: Protocol;
}

/** How the endpoints of a service are found. */
export type Resolution =
  /** Endpoints are known by address: workloads that are selected, or addresses written down. */
  | 'static'
  /** Endpoints are DNS names (the host itself when none is written down). */
  | 'dns'
  /** Callers choose the address: the connection goes where it was meant to. */
  | 'none';

/** Something that can be called by name: one host of a Service or a ServiceEntry. */
export interface Service {
  /**
   * `<name>.<namespace>.svc.<domain>` for a Service; as written, lower case, for a ServiceEntry
   * (may be `*.x`).
   */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly ServicePort[];
  /** Virtual addresses (cluster IPs); empty when there are none, as with a headless Service. */
  readonly addresses: readonly string[];
  readonly resolution: Resolution;
  /** A Service without an address of its own: callers look up those of its endpoints. */
  readonly headless: boolean;
  /** Outside of the mesh: no sidecar is expected at its endpoints (ServiceEntry MESH_EXTERNAL). */
  readonly external: boolean;
  /** Labels of the workloads behind it, in its own namespace; undefined = selects none. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /**
   * Identities that its endpoints may have besides their service accounts'
   * (ServiceEntry.subjectAltNames).
   */
  readonly subjectAltNames: readonly string[];
  /** Namespaces that may call it; '*' = all, '.' = its own. Empty = all. */
  readonly exportTo: readonly string[];
  /** The Service or ServiceEntry that it was made of. */
  readonly source: ApiObject;
}

/**
 * Sorted by number, each number once; of several the first that a proxy can handle (TCP and UDP 53:
 * the TCP one).
 */
export function distinctPorts(ports: readonly ServicePort[]): readonly ServicePort[] {
  const byNumber = new Map<number, ServicePort>();
  for (const port of ports) {
    const other = byNumber.get(port.port);
    if (!other || (other.protocol === 'udp' && port.protocol !== 'udp'))
      byNumber.set(port.port, port);
  }
  return [...byNumber.values()].sort((a, b) => a.port - b.port);
}
