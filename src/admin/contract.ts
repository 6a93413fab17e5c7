/**
 * What the control plane tells about itself, as JSON, at paths of the API server that only
 * administrators may read. Command line and dashboard read these types.
 */
export const ADMIN_PATHS = {
  /** ProxiesView. */
  proxies: '/bulwark/v1alpha1/proxies',
} as const;

/** How far a proxy got with one type of configuration. Instants in RFC 3339. */
export interface ProxyTypeView {
  /** `CDS`, `LDS`, `EDS`, `RDS`, `SDS`, `ECDS`. */
  readonly type: string;
  /**
   * `SYNCED`: it took all that it should have. `STALE`: the last response is not answered.
   * `REJECTED`: it refused something.
   */
  readonly state: 'SYNCED' | 'STALE' | 'REJECTED';
  readonly sentAt: string | undefined;
  readonly ackedAt: string | undefined;
  /** Envoy's words about the last refusal. */
  readonly error: string | undefined;
  /** Names of the resources that it does not take. */
  readonly rejected: readonly string[];
}

/** One connected proxy. */
export interface ProxyView {
  readonly name: string;
  readonly namespace: string;
  readonly identity: string;
  readonly envoyVersion: string;
  readonly address: string;
  readonly connectedAt: string;
  readonly types: readonly ProxyTypeView[];
}

/** `GET /bulwark/v1alpha1/proxies`. */
export interface ProxiesView {
  readonly proxies: readonly ProxyView[];
}
