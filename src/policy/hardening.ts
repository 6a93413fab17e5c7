import type { HardeningProfile } from '#model/mesh-settings.ts';

/** Where the two profiles differ: one entry for each difference. */
export interface Hardening {
  /**
   * `hosts` of a policy match whatever port or trailing dot the Host header has beside the name.
   */
  readonly hostMatchIgnoresPort: boolean;
  /**
   * Namespaces and service accounts are taken from a whole `spiffe://<td>/ns/<ns>/sa/<sa>` only.
   */
  readonly peerIdentityIsAnchored: boolean;
  /**
   * An ALLOW rule whose only word on the peer is a `not…` field asks for an authenticated peer as
   * well.
   */
  readonly allowByExclusionNeedsPeer: boolean;
  /**
   * `{*}` and `{**}` of a path stand for every character, also for `[` and `]`, which Envoy's own
   * leave out.
   */
  readonly templateMatchesAnyCharacter: boolean;
  /**
   * A principal may be written with its `spiffe://`; Istio takes that for a principal nobody has.
   */
  readonly principalSchemeIsOptional: boolean;
  /**
   * An inbound proxy takes the connection's address for the caller's, whatever X-Forwarded-For
   * says.
   */
  readonly callerAddressIsPeers: boolean;
  /**
   * An inbound proxy takes away headers that only proxies should set (X-Forwarded-For, X-Real-IP,
   * X-Envoy-*).
   */
  readonly proxyHeadersAreStripped: boolean;
  /**
   * A server whose service account is not known must at least be of its namespace, not just of the
   * mesh.
   */
  readonly unknownServersAreNarrowed: boolean;
  /**
   * A server outside of the mesh must have the name that it is asked for, also where the connection
   * is not HTTP and where a rule gives `sni` alone.
   */
  readonly outsideServersAreNamed: boolean;
  /**
   * Where policy selects a TCP port, nothing is connected to the application before the caller was
   * judged: by its first byte, or, on ports declared for a protocol in which the server speaks
   * first, by its identity.
   */
  readonly tcpWaitsForCaller: boolean;
  /**
   * A policy whose provider cannot be asked denies what it matches, and several providers are asked
   * one after another; Istio then denies every request to the workload.
   */
  readonly customProvidersAreIndependent: boolean;
  /** A policy that names a provider which the mesh does not know is refused when it is written. */
  readonly unknownProvidersAreRefused: boolean;
  /**
   * A proxy before the certificate authority is believed about its callers only where the setting
   * names its address; Istio then believes everybody on the authority's own machine as well.
   */
  readonly localProxiesMustBeListed: boolean;
  /**
   * What the rules of one provider match is asked of whichever provider has their place, so that
   * nothing passes unasked in the moment in which a provider takes the place of another.
   */
  readonly everyCustomMatchIsAsked: boolean;
  /**
   * Headers that a provider may add to a request are taken away from what callers send, unless the
   * provider gets to see them; Istio lets them through where the provider says nothing of them.
   */
  readonly providedHeadersAreStripped: boolean;
  /** A request whose path has a fragment (`#`) is refused; Istio cuts the fragment off. */
  readonly fragmentsAreRefused: boolean;
  /** `presence: REQUIRED` of a rule for tokens counts; Istio takes it and does nothing. */
  readonly requiredTokensAreEnforced: boolean;
  /**
   * With `originIsOptional` of a Policy a token that is not good is refused; Istio takes the
   * request for one without.
   */
  readonly badOptionalTokensAreRefused: boolean;
  /**
   * The scheme `Bearer` counts in any case, and a header Authorization that means to carry a token
   * and carries none is answered 401; Istio takes such a request for one without.
   */
  readonly bearerIsChecked: boolean;
  /** `request.auth.claims[…]` matches numbers and booleans, too, by their text. */
  readonly claimsMatchByText: boolean;
  /**
   * `*` of a claim or of an end user is any text; with Istio it is none with an end of line in it,
   * so that such a token gets around a DENY.
   */
  readonly presenceSpansLines: boolean;
}

/** The one place that says what each profile does. Everything else asks here. */
export const HARDENING: Readonly<Record<HardeningProfile, Hardening>> = {
  istio: {
    hostMatchIgnoresPort: false,
    peerIdentityIsAnchored: false,
    allowByExclusionNeedsPeer: false,
    templateMatchesAnyCharacter: false,
    principalSchemeIsOptional: false,
    callerAddressIsPeers: false,
    proxyHeadersAreStripped: false,
    unknownServersAreNarrowed: false,
    outsideServersAreNamed: false,
    tcpWaitsForCaller: false,
    customProvidersAreIndependent: false,
    unknownProvidersAreRefused: false,
    localProxiesMustBeListed: false,
    everyCustomMatchIsAsked: false,
    providedHeadersAreStripped: false,
    fragmentsAreRefused: false,
    requiredTokensAreEnforced: false,
    badOptionalTokensAreRefused: false,
    bearerIsChecked: false,
    claimsMatchByText: false,
    presenceSpansLines: false,
  },
  strict: {
    hostMatchIgnoresPort: true,
    peerIdentityIsAnchored: true,
    allowByExclusionNeedsPeer: true,
    templateMatchesAnyCharacter: true,
    principalSchemeIsOptional: true,
    callerAddressIsPeers: true,
    proxyHeadersAreStripped: true,
    unknownServersAreNarrowed: true,
    outsideServersAreNamed: true,
    tcpWaitsForCaller: true,
    customProvidersAreIndependent: true,
    unknownProvidersAreRefused: true,
    localProxiesMustBeListed: true,
    everyCustomMatchIsAsked: true,
    providedHeadersAreStripped: true,
    fragmentsAreRefused: true,
    requiredTokensAreEnforced: true,
    badOptionalTokensAreRefused: true,
    bearerIsChecked: true,
    claimsMatchByText: true,
    presenceSpansLines: true,
  },
};
