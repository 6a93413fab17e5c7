/** What TLS connections are made with at least. */
export interface TlsLimits {
  readonly minVersion: 'TLSV1_2' | 'TLSV1_3';
  /** For TLS 1.2, by OpenSSL's names; empty = Envoy's own list. TLS 1.3 has no weak ones. */
  readonly cipherSuites: readonly string[];
  /** Groups for the key exchange, in the order of preference; empty = Envoy's own list. */
  readonly curves: readonly string[];
}

/** For connections of the mesh, and for those that proxies open to servers outside of it. */
export interface MeshTlsLimits {
  readonly mesh: TlsLimits;
  readonly outside: TlsLimits;
}

/** Those of a new installation: forward secrecy and authenticated encryption only. */
export const DEFAULT_TLS_LIMITS: MeshTlsLimits = {
  mesh: {
    minVersion: 'TLSV1_2',
    cipherSuites: [
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES128-GCM-SHA256',
    ],
    curves: [],
  },
  outside: { minVersion: 'TLSV1_2', cipherSuites: [], curves: [] },
};
