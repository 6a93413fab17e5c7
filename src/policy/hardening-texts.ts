import type { Hardening } from '#policy/hardening.ts';

/** What a difference of the profiles means to users: a sentence each, without full stop. */
export interface HardeningText {
  readonly istio: string;
  readonly strict: string;
}

/** Every difference, in the order in which they are shown. */
export const HARDENING_TEXTS: Readonly<Record<keyof Hardening, HardeningText>> = {
  hostMatchIgnoresPort: {
    istio: 'hosts match without port and trailing dot only: Host: name:8080 gets around DENY',
    strict: 'hosts match whatever port or trailing dot comes with the name',
  },
  fragmentsAreRefused: {
    istio: 'a fragment is cut off the path before policy sees it',
    strict: 'a path with a fragment is refused (400)',
  },
  templateMatchesAnyCharacter: {
    istio: '{*} and {**} of a path do not match [ and ], so DENY misses such paths',
    strict: '{*} and {**} of a path match every character',
  },
  peerIdentityIsAnchored: {
    istio: 'namespaces and service accounts are found anywhere in an identity',
    strict: 'namespaces and service accounts are taken from a whole identity only',
  },
  principalSchemeIsOptional: {
    istio: 'a principal written with spiffe:// matches nobody',
    strict: 'a principal may be written with spiffe://',
  },
  allowByExclusionNeedsPeer: {
    istio: 'ALLOW rules that only say who the peer is not let in callers without identity',
    strict: 'ALLOW rules that only say who the peer is not ask for an identity as well',
  },
  callerAddressIsPeers: {
    istio: 'remoteIpBlocks trust the X-Forwarded-For that the caller sends',
    strict: 'remoteIpBlocks see the address of the connection',
  },
  proxyHeadersAreStripped: {
    istio: 'headers that only proxies should set reach the application as callers send them',
    strict: 'X-Forwarded-For, X-Real-IP and X-Envoy-* of callers are taken away',
  },
  unknownServersAreNarrowed: {
    istio: 'a server whose account is not known may be anybody of the mesh',
    strict: 'a server whose account is not known must be of its namespace',
  },
  outsideServersAreNamed: {
    istio: 'servers outside of the mesh need no name where the connection is not HTTP',
    strict: 'servers outside of the mesh must have the name that they are asked for',
  },
  tcpWaitsForCaller: {
    istio: 'a denied caller hears the greeting of a server that speaks first',
    strict: 'a denied caller hears nothing of a server that speaks first',
  },
  customProvidersAreIndependent: {
    istio: 'one provider that cannot be asked denies every request to the workload',
    strict: 'one provider that cannot be asked denies what its own rules match',
  },
  unknownProvidersAreRefused: {
    istio: 'policies that name an unknown provider are taken',
    strict: 'policies that name an unknown provider are refused',
  },
  localProxiesMustBeListed: {
    istio: 'with trustedGatewayCidrs, every process beside the authority can get any identity',
    strict: 'with trustedGatewayCidrs, only the named addresses are believed about callers',
  },
  everyCustomMatchIsAsked: {
    istio: 'requests pass unasked while one provider takes the place of another',
    strict: 'every request that a rule matches is asked about',
  },
  providedHeadersAreStripped: {
    istio: 'callers can send the headers that a provider adds',
    strict: 'headers that a provider adds are taken away from callers',
  },
  requiredTokensAreEnforced: {
    istio: 'presence: REQUIRED of a rule for tokens has no effect',
    strict: 'presence: REQUIRED of a rule for tokens is enforced (401)',
  },
  badOptionalTokensAreRefused: {
    istio: 'a bad token passes as no token where originIsOptional is set',
    strict: 'a bad token is refused where originIsOptional is set',
  },
  bearerIsChecked: {
    istio: 'a token behind bearer in other letters, or spelt badly, passes as no token',
    strict: 'Bearer counts in any letters, and what is spelt badly is refused (401)',
  },
  claimsMatchByText: {
    istio: 'conditions on claims never match numbers and booleans',
    strict: 'conditions on claims match numbers and booleans by their text',
  },
  presenceSpansLines: {
    istio: 'a claim or an end user with an end of line in it gets around a DENY of *',
    strict: '* of a claim or an end user is any text',
  },
};
