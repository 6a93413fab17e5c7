/** An object, by what people call it. */
export interface ObjectView {
  readonly kind: string;
  /** '' for a cluster-scoped one. */
  readonly namespace: string;
  readonly name: string;
}

/** Which connections a port takes; `REFUSE`: a policy asks for what no caller can prove. */
export type MtlsModeView = 'DISABLE' | 'PERMISSIVE' | 'STRICT' | 'REFUSE';

/** Somebody who called without mutual TLS of the mesh. */
export interface PlaintextCallerView {
  readonly address: string;
  /** `<namespace>/<name>` of the workloads that have this address; several may share one. */
  readonly workloads: readonly string[];
  /** RFC 3339. */
  readonly lastAt: string;
}

/** Connections to one port, since `MtlsWorkloadView.observedSince`. */
export interface SeenConnectionsView {
  /** With mutual TLS of the mesh. */
  readonly tls: number;
  readonly plaintext: number;
  /** HTTP connections without mutual TLS that are open. */
  readonly open: number;
  /** RFC 3339: when somebody last came, or was there, without mutual TLS. */
  readonly plaintextAt: string | undefined;
  /** The latest first; those seen last. */
  readonly callers: readonly PlaintextCallerView[];
}

/** A port of a workload, as policies mean it. */
export interface MtlsPortView {
  /** 0 = every port that no service and no policy names (redirected traffic). */
  readonly port: number;
  /** Hosts of the services that lead to it. */
  readonly services: readonly string[];
  readonly mode: MtlsModeView;
  /** undefined = nobody says anything. */
  readonly setBy: ObjectView | undefined;
  /** undefined = nothing is known of its connections. */
  readonly seen: SeenConnectionsView | undefined;
}

/** A workload that is known, or that has a proxy which is connected. */
export interface MtlsWorkloadView {
  readonly namespace: string;
  readonly name: string;
  /** `away`: it has a proxy, which is not connected; `none`: it has none. */
  readonly proxy: 'connected' | 'away' | 'none';
  /** RFC 3339: since when its agent counts connections; undefined when nobody does. */
  readonly observedSince: string | undefined;
  /** Sorted by port. */
  readonly ports: readonly MtlsPortView[];
}

/** How clients connect to a port of workloads; the same for each client and each server here. */
export interface MtlsPairView {
  /** `<namespace>/<name>`, or `<namespace>/*` where it is true of all of a namespace. */
  readonly clients: readonly string[];
  readonly host: string;
  readonly port: number;
  /** '' = the service as a whole. */
  readonly subset: string;
  /** `<namespace>/<name>`. */
  readonly servers: readonly string[];
  /** The port of the servers that policies mean. */
  readonly serverPort: number;
  readonly sends: 'plaintext' | 'mutual' | 'other-tls' | 'nothing';
  readonly takes: MtlsModeView;
  /** The DestinationRule; undefined = auto mTLS decides, or that it is off. */
  readonly clientRule: ObjectView | undefined;
  readonly serverRule: ObjectView | undefined;
  /** Why the connection cannot be made, for people; undefined = nothing stands in the way. */
  readonly conflict: string | undefined;
}

/** `GET /bulwark/v1alpha1/mtls`. */
export interface MtlsView {
  /** RFC 3339: when this was said. */
  readonly at: string;
  /** By namespace, then name. */
  readonly workloads: readonly MtlsWorkloadView[];
  readonly pairs: readonly MtlsPairView[];
}

/** What becomes of a port when it is made STRICT. */
export interface StrictVerdict {
  /**
   * - `strict`: it is.
   * - `safe`: it is PERMISSIVE, and nobody came without mutual TLS for the whole time asked for.
   * - `not-safe`: somebody did, or an object tells clients to.
   * - `too-early`: nobody did, but it is not watched for that long.
   * - `unknown`: nobody watches it.
   * - `closed`: it takes no connection.
   */
  readonly state: 'strict' | 'safe' | 'not-safe' | 'too-early' | 'unknown' | 'closed';
  /** For people: why, and who would break. */
  readonly reason: string;
}
