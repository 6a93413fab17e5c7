import { create } from '@bufbuild/protobuf';
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
} from '#gen/envoy-api/envoy/config/accesslog/v3/accesslog_pb.js';
import { ApiVersion } from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import { TcpGrpcAccessLogConfigSchema } from '#gen/envoy-api/envoy/extensions/access_loggers/grpc/v3/als_pb.js';
import type { AuditSettings } from '#model/mesh-settings.ts';
import { AUDIT_STREAM, AUDIT_TAGS, type AuditTag } from '#xds/audit-tags.ts';
import {
  AUDITED,
  ENDED,
  ENDED_AUDITED,
  expression,
  FAILED_STATUS,
} from '#xds/generate/access-log.ts';
import { PATH_AS_SENT, type PathFate } from '#xds/generate/access-log-fields.ts';
import { JWT_PAYLOAD } from '#xds/generate/authn/jwt.ts';
import { verdictPrefix } from '#xds/generate/authz/external-check.ts';
import { AUDIT_PREFIX, CUSTOM_PLACES, ENFORCED_PREFIX } from '#xds/generate/authz/filters.ts';
import { GATE_PEER_KEY } from '#xds/generate/authz/gate-matcher.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { duration, typedConfig } from '#xds/generate/proto-values.ts';

/** What of calls to a workload its proxy tells the control plane. Plain JSON values. */
export type AuditStreams = AuditSettings;

type Tags = Partial<Readonly<Record<AuditTag, string>>>;

/** Characters of a text that callers choose: a proxy sends no more of it. */
const TEXT_LENGTH_MAX = 512;
/** Bytes of records that a proxy puts together, and how long it waits for more. */
const BUFFER = { bytes: 16 * 1024, intervalMs: 1000 } as const;

const HTTP_RBAC = 'envoy.filters.http.rbac';
const NETWORK_RBAC = 'envoy.filters.network.rbac';
const JWT = 'envoy.filters.http.jwt_authn';

const CONNECTION: Tags = {
  chain: '%FILTER_CHAIN_NAME%',
  started: '%START_TIME%',
  flags: '%RESPONSE_FLAGS%',
  ended: '%CONNECTION_TERMINATION_DETAILS%',
  peer: '%DOWNSTREAM_PEER_URI_SAN%',
  address: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  destination: '%DOWNSTREAM_LOCAL_PORT%',
};

/** Headers carry secrets, and so does the query: none leaves the proxy. */
const REQUEST: Tags = {
  method: `%REQ(:METHOD):${TEXT_LENGTH_MAX}%`,
  host: `%REQ(:AUTHORITY):${TEXT_LENGTH_MAX}%`,
  status: '%RESPONSE_CODE%',
  details: '%RESPONSE_CODE_DETAILS%',
  request_id: `%REQ(X-REQUEST-ID):${TEXT_LENGTH_MAX}%`,
  traceparent: '%REQ(TRACEPARENT):64%',
  issuer: `%DYNAMIC_METADATA(${JWT}:${JWT_PAYLOAD}:iss):${TEXT_LENGTH_MAX}%`,
  subject: `%DYNAMIC_METADATA(${JWT}:${JWT_PAYLOAD}:sub):${TEXT_LENGTH_MAX}%`,
};

function policies(filter: string, auditKey: string): Tags {
  const asked = CUSTOM_PLACES.map(
    (place) => `%DYNAMIC_METADATA(${filter}:${verdictPrefix(place)}shadow_effective_policy_id)%`,
  );
  return { audit: `%DYNAMIC_METADATA(${filter}:${auditKey})%`, asked: asked.join(' ') };
}

const HTTP_TAGS: Tags = {
  ...CONNECTION,
  ...REQUEST,
  ...policies(HTTP_RBAC, `${AUDIT_PREFIX}enforced_effective_policy_id`),
  allow: `%DYNAMIC_METADATA(${HTTP_RBAC}:${ENFORCED_PREFIX.allow}enforced_effective_policy_id)%`,
};

const TCP_TAGS: Tags = {
  ...CONNECTION,
  ...policies(NETWORK_RBAC, `${AUDIT_PREFIX}shadow_effective_policy_id`),
};

/**
 * What is streamed about requests; `paths` as for the lines about them. Cheap conditions come
 * first: a request that is fine is looked at by its status alone.
 */
export function httpAuditStreams(audit: AuditStreams, paths: PathFate): readonly AccessLog[] {
  const denied = anyOf([
    REFUSED_BY_FILTER,
    all([FAILED_STATUS, expression('response.code_details.startsWith("rbac_access_denied")')]),
  ]);
  const path = `${PATH_AS_SENT[paths]}:${TEXT_LENGTH_MAX}%`;
  return streams(audit, { ...HTTP_TAGS, path }, { denied, audited: AUDITED, each: [] });
}

/** What is streamed about connections that are not HTTP, when they end. */
export function tcpAuditStreams(audit: AuditStreams): readonly AccessLog[] {
  const denied = all([ENDED, DENIED_CONNECTION]);
  return streams(audit, TCP_TAGS, { denied, audited: ENDED_AUDITED, each: [ENDED] });
}

/** What is streamed about connections that a gate turns away: the name of its chain says why. */
export function gateAuditStreams(audit: AuditStreams, port: number): readonly AccessLog[] {
  if (audit.records === 'off') return [];
  const tags: Tags = {
    ...CONNECTION,
    chain: `${port}-gate`,
    ended: '%FILTER_CHAIN_NAME%',
    peer: `%FILTER_STATE(${GATE_PEER_KEY}:PLAIN)%`,
    flags: '',
  };
  return [stream(AUDIT_STREAM.records, tags, ENDED)];
}

/** By a provider that was asked, or for its token. */
const REFUSED_BY_FILTER = create(AccessLogFilterSchema, {
  filterSpecifier: { case: 'responseFlagFilter', value: { flags: ['UAEX'] } },
});

const DENIED_CONNECTION = anyOf([
  REFUSED_BY_FILTER,
  expression('connection.termination_details.startsWith("rbac_access_denied")'),
]);

interface Conditions {
  readonly denied: AccessLogFilter;
  readonly audited: AccessLogFilter;
  /** What counts as one request or connection. */
  readonly each: readonly AccessLogFilter[];
}

function streams(
  { records, trafficPercent }: AuditStreams,
  tags: Tags,
  { denied, audited, each }: Conditions,
): readonly AccessLog[] {
  const wanted = records === 'denied-and-audited' ? anyOf([denied, audited]) : denied;
  return [
    ...(records === 'off' ? [] : [stream(AUDIT_STREAM.records, tags, wanted)]),
    ...(trafficPercent === 0
      ? []
      : [stream(AUDIT_STREAM.traffic, tags, all([...each, sampled(trafficPercent)]))]),
  ];
}

function anyOf(filters: readonly AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilterSchema, {
    filterSpecifier: { case: 'orFilter', value: { filters: [...filters] } },
  });
}

function all(filters: readonly AccessLogFilter[]): AccessLogFilter {
  const [only] = filters;
  // Envoy refuses a set of one.
  if (only && filters.length === 1) return only;
  return create(AccessLogFilterSchema, {
    filterSpecifier: { case: 'andFilter', value: { filters: [...filters] } },
  });
}

function sampled(percent: number): AccessLogFilter {
  return create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'runtimeFilter',
      value: {
        runtimeKey: 'access_log.traffic_sampled',
        percentSampled: { numerator: percent },
        useIndependentRandomness: true,
      },
    },
  });
}

/** The logger for connections, for requests too: it sends nothing of a request but the tags. */
function stream(name: string, tags: Tags, condition: AccessLogFilter): AccessLog {
  const customTags = AUDIT_TAGS.flatMap((tag) => {
    const value = tags[tag] ?? '';
    return value === '' ? [] : [{ tag, type: { case: 'value' as const, value } }];
  });
  return create(AccessLogSchema, {
    name: 'envoy.access_loggers.tcp_grpc',
    filter: condition,
    configType: typedConfig(TcpGrpcAccessLogConfigSchema, {
      commonConfig: {
        logName: name,
        transportApiVersion: ApiVersion.V3,
        grpcService: {
          targetSpecifier: { case: 'envoyGrpc', value: { clusterName: CLUSTER_NAMES.xds } },
        },
        bufferFlushInterval: duration(BUFFER.intervalMs),
        bufferSizeBytes: BUFFER.bytes,
        customTags,
      },
    }),
  });
}
