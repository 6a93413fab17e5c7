import type { HardeningProfile } from '#model/mesh-settings.ts';

/** Where the two profiles differ: one entry for each difference. */
export interface Hardening {
  /** `hosts` of a policy match whatever port or trailing dot the Host header has beside the name. */
  readonly hostMatchIgnoresPort: boolean;
  /** Namespaces and service accounts are taken from a whole `spiffe://<td>/ns/<ns>/sa/<sa>` only. */
  readonly peerIdentityIsAnchored: boolean;
  /** An ALLOW rule whose only word on the peer is a `not…` field asks for an authenticated peer as well. */
  readonly allowByExclusionNeedsPeer: boolean;
  /** Envoy joins repeated slashes of a path before policy sees it (`merge_slashes`). */
  readonly mergeSlashes: boolean;
  /** Envoy decodes `%2f` and `%5c` of a path before policy sees it (`path_with_escaped_slashes_action`). */
  readonly unescapeSlashes: boolean;
}

/** The one place that says what each profile does. Everything else asks here. */
export const HARDENING: Readonly<Record<HardeningProfile, Hardening>> = {
  istio: {
    hostMatchIgnoresPort: false,
    peerIdentityIsAnchored: false,
    allowByExclusionNeedsPeer: false,
    mergeSlashes: false,
    unescapeSlashes: false,
  },
  strict: {
    hostMatchIgnoresPort: true,
    peerIdentityIsAnchored: true,
    allowByExclusionNeedsPeer: true,
    mergeSlashes: true,
    unescapeSlashes: true,
  },
};
