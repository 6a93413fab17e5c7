import type { JsonObject } from '@bufbuild/protobuf';
import { verdictPrefix } from '#xds/generate/authz/external-check.ts';
import { AUDIT_PREFIX, CUSTOM_PLACES, ENFORCED_PREFIX } from '#xds/generate/authz/filters.ts';

/** Where a line comes from. */
export interface LogSource {
  /** `inbound` = calls to the workload, `outbound` = its own calls. */
  readonly direction: 'inbound' | 'outbound';
  /** The workload's port (inbound) or the service port (outbound); 0 = any. */
  readonly port: number;
}

/**
 * The path of a request as it came. Where routes may rewrite it, that is in a header, which callers
 * must not be able to set; elsewhere it is the path itself, whatever a caller claims. Without its
 * query.
 */
export const PATH_AS_SENT = {
  rewritten: '%PATH(NQ:ORIG_OR_PATH)',
  kept: '%PATH(NQ:PATH)',
} as const;

/** What becomes of the paths of requests on their way. */
export type PathFate = keyof typeof PATH_AS_SENT;

/**
 * Facts of the connection, for lines of both protocols. `kind` tells our lines from Envoy's own on
 * its output.
 */
export function commonFields(source: LogSource): JsonObject {
  return {
    kind: 'access',
    direction: source.direction,
    port: source.port,
    start_time: '%START_TIME%',
    duration_ms: '%DURATION%',
    bytes_received: '%BYTES_RECEIVED%',
    bytes_sent: '%BYTES_SENT%',
    response_flags: '%RESPONSE_FLAGS%',
    connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
    peer: '%DOWNSTREAM_PEER_URI_SAN%',
    downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
    downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
    downstream_transport_failure_reason: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
    requested_server_name: '%REQUESTED_SERVER_NAME%',
    upstream_cluster: '%UPSTREAM_CLUSTER%',
    upstream_host: '%UPSTREAM_HOST%',
    upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  };
}

/** Never a query string or header beyond these: they carry secrets. */
const HTTP_FIELDS: JsonObject = {
  method: '%REQ(:METHOD)%',
  authority: '%REQ(:AUTHORITY)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  grpc_status: '%GRPC_STATUS%',
  request_id: '%REQ(X-REQUEST-ID)%',
  // W3C Trace Context: the trace that the caller made the request in.
  traceparent: '%REQ(TRACEPARENT)%',
};

const HTTP_RBAC = 'envoy.filters.http.rbac';
const NETWORK_RBAC = 'envoy.filters.network.rbac';

/** The rules of policies that matched, by the keys of their filters. */
function policyFields(filter: string, auditKey: string): JsonObject {
  const checks = CUSTOM_PLACES.map((place) => [
    `custom_policy_${place}`,
    `%DYNAMIC_METADATA(${filter}:${verdictPrefix(place)}shadow_effective_policy_id)%`,
  ]);
  return {
    audit_policy: `%DYNAMIC_METADATA(${filter}:${auditKey})%`,
    ...Object.fromEntries(checks),
  };
}

const HTTP_POLICIES: JsonObject = {
  ...policyFields(HTTP_RBAC, `${AUDIT_PREFIX}enforced_effective_policy_id`),
  allow_policy: `%DYNAMIC_METADATA(${HTTP_RBAC}:${ENFORCED_PREFIX.allow}enforced_effective_policy_id)%`,
};
const TCP_POLICIES = policyFields(NETWORK_RBAC, `${AUDIT_PREFIX}shadow_effective_policy_id`);

/** Facts of a request; of calls to the workload, with the rules that matched. */
export function requestFields(source: LogSource, paths: PathFate): JsonObject {
  const path = `${PATH_AS_SENT[paths]}%`;
  const policies = source.direction === 'inbound' ? HTTP_POLICIES : {};
  return { ...commonFields(source), ...HTTP_FIELDS, path, ...policies };
}

/** The same of a connection that is not HTTP. */
export function connectionFields(source: LogSource): JsonObject {
  const policies = source.direction === 'inbound' ? TCP_POLICIES : {};
  return { ...commonFields(source), ...policies };
}
