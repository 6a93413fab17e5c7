/** Names of the two streams that a proxy opens, each when it first has something to tell. */
export const AUDIT_STREAM = {
  /** Every request that was denied, and those that AUDIT policies match. */
  records: 'bulwark-audit',
  /** A sample of all of them. */
  traffic: 'bulwark-traffic',
} as const;

/** What proxies tell of a request or connection; all of it text, absent or `-` = nothing. */
export const AUDIT_TAGS = [
  /** The filter chain, which begins with the port of the workload. */
  'chain',
  /** RFC 3339, by Envoy's clock. */
  'started',
  'flags',
  'ended',
  /** The identity that the caller proved. */
  'peer',
  'address',
  /** The port that the connection was made to. */
  'destination',
  'method',
  'path',
  'host',
  'status',
  'details',
  'request_id',
  'traceparent',
  /** Of the token of the end user. */
  'issuer',
  'subject',
  /** Ids of rules: of an AUDIT policy, of CUSTOM policies, of an ALLOW policy. */
  'audit',
  'asked',
  'allow',
] as const;

/** One of them. */
export type AuditTag = (typeof AUDIT_TAGS)[number];
