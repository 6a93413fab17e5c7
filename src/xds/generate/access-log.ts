import { create, type JsonObject } from '@bufbuild/protobuf';
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
  ComparisonFilter_Op,
  GrpcStatusFilter_Status,
} from '#gen/envoy-api/envoy/config/accesslog/v3/accesslog_pb.js';
import { AccessLogType } from '#gen/envoy-api/envoy/data/accesslog/v3/accesslog_pb.js';
import { ExpressionFilterSchema } from '#gen/envoy-api/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js';
import { StdoutAccessLogSchema } from '#gen/envoy-api/envoy/extensions/access_loggers/stream/v3/stream_pb.js';
import type { MeshSettings } from '#model/mesh-settings.ts';
import {
  commonFields,
  connectionFields,
  type LogSource,
  type PathFate,
  requestFields,
} from '#xds/generate/access-log-fields.ts';
import { GATE_PEER_KEY } from '#xds/generate/authz/gate-matcher.ts';
import { typedConfig } from '#xds/generate/proto-values.ts';

/** Which requests are written down. */
export type LoggedRequests = MeshSettings['accessLog'];

/** Lines about requests. `paths`: what becomes of their paths on the way. */
export function httpAccessLog(
  source: LogSource,
  logged: LoggedRequests,
  paths: PathFate,
): AccessLog {
  // The application's own error answers are written down where it is called, not once more by each
  // caller.
  const isInbound = source.direction === 'inbound';
  const noteworthy = isInbound ? [...FAILED_HTTP, AUDITED] : [FLAGGED];
  const fields = requestFields(source, paths);
  return jsonLines(fields, logged === 'all' ? [] : noteworthy);
}

/** Lines about connections that are not HTTP, written when they end. */
export function tcpAccessLog(source: LogSource, logged: LoggedRequests): AccessLog {
  const isInbound = source.direction === 'inbound';
  const noteworthy = isInbound ? [...FAILED_TCP, ENDED_AUDITED] : FAILED_TCP;
  const fields = connectionFields(source);
  return jsonLines(fields, logged === 'all' ? [ENDED] : noteworthy);
}

/**
 * When the agent is told of a caller without mutual TLS: at the end of each connection, and, as
 * connections may stay open for days, at some requests of HTTP, and of other protocols when one was
 * made and from time to time.
 */
export type PlaintextMoment = 'open' | 'request' | 'end';

/**
 * Lines by which the agent learns who calls without mutual TLS. They hold an address, no more;
 * which connections they are about shows the name of the filter chain. Callers of the mesh cost
 * nothing but the look at how they came.
 */
export function plaintextLog(moment: PlaintextMoment): AccessLog {
  const fields = {
    kind: 'plaintext',
    chain: '%FILTER_CHAIN_NAME%',
    address: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
  };
  return jsonLines(fields, [PLAINTEXT[moment]]);
}

/**
 * Lines about connections that never reached a filter: a handshake that failed, plaintext where
 * mutual TLS is asked for. Always on: nothing else says who was turned away.
 */
export function refusedConnectionLog(source: LogSource): AccessLog {
  return jsonLines(commonFields(source), REFUSED);
}

/**
 * Lines about connections that a gate turns away, as if the rule that denies them had been tried at
 * their first byte: the name of the gate's chain says which.
 */
export function gateDenialLog(source: LogSource): AccessLog {
  const fields = {
    ...commonFields(source),
    peer: `%FILTER_STATE(${GATE_PEER_KEY}:PLAIN)%`,
    connection_termination_details: '%FILTER_CHAIN_NAME%',
    response_flags: '',
  };
  return jsonLines(fields, [ENDED]);
}

/** A condition in Envoy's expression language, on the attributes of the request. */
export function expression(text: string): AccessLogFilter {
  return create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'extensionFilter',
      value: {
        name: 'envoy.access_loggers.extension_filters.cel',
        configType: typedConfig(ExpressionFilterSchema, { expression: text }),
      },
    },
  });
}

/** Any of Envoy's own failures: no route, no upstream, time-outs, resets. */
const FLAGGED = create(AccessLogFilterSchema, {
  filterSpecifier: { case: 'responseFlagFilter', value: {} },
});

const FAILED_STATUSES: readonly AccessLogFilter[] = [
  create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'statusCodeFilter',
      value: {
        comparison: {
          op: ComparisonFilter_Op.GE,
          // Envoy wants a name here, by which a running process could be told another number.
          value: { defaultValue: 400, runtimeKey: 'access_log.status_min' },
        },
      },
    },
  }),
  create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'grpcStatusFilter',
      value: {
        // A denied gRPC request is answered with status 200 and this in the trailers.
        statuses: [
          GrpcStatusFilter_Status.PERMISSION_DENIED,
          GrpcStatusFilter_Status.UNAUTHENTICATED,
          GrpcStatusFilter_Status.UNAVAILABLE,
          GrpcStatusFilter_Status.INTERNAL,
          GrpcStatusFilter_Status.RESOURCE_EXHAUSTED,
          GrpcStatusFilter_Status.DEADLINE_EXCEEDED,
        ],
      },
    },
  }),
];

const FAILED_HTTP: readonly AccessLogFilter[] = [...FAILED_STATUSES, FLAGGED];

/** Requests that were answered with an error, in HTTP or in gRPC. */
export const FAILED_STATUS = create(AccessLogFilterSchema, {
  filterSpecifier: { case: 'orFilter', value: { filters: [...FAILED_STATUSES] } },
});

const FAILED_TCP: readonly AccessLogFilter[] = [
  expression('connection.termination_details != ""'),
  FLAGGED,
];

const REFUSED: readonly AccessLogFilter[] = [
  // That the first bytes are no TLS is a failure, too: but not where plaintext is taken.
  expression(
    [
      'connection.transport_failure_reason != ""',
      '!xds.filter_chain_name.contains("-plain-")',
    ].join(' && '),
  ),
  create(AccessLogFilterSchema, {
    filterSpecifier: { case: 'responseFlagFilter', value: { flags: ['NR'] } },
  }),
];

/** Of a connection that may also be written down when it was made. */
export const ENDED = ofType(AccessLogType.TcpConnectionEnd);

/** Requests and connections that a rule of an AUDIT policy matched. */
export const AUDITED = create(AccessLogFilterSchema, {
  filterSpecifier: {
    case: 'metadataFilter',
    value: {
      matcher: {
        filter: 'envoy.common',
        path: [{ segment: { case: 'key', value: 'access_log_hint' } }],
        value: { matchPattern: { case: 'boolMatch', value: true } },
      },
      matchIfKeyNotFound: false,
    },
  },
});

/** Connections that one matched, once they are over. */
export const ENDED_AUDITED = create(AccessLogFilterSchema, {
  filterSpecifier: { case: 'andFilter', value: { filters: [ENDED, AUDITED] } },
});

/** Of requests without mutual TLS so many of a hundred are written down. */
const REQUESTS_PERCENT = 1;

const PLAINTEXT: Readonly<Record<PlaintextMoment, AccessLogFilter>> = {
  open: ofType(AccessLogType.TcpUpstreamConnected, AccessLogType.TcpPeriodic),
  request: create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'runtimeFilter',
      value: {
        runtimeKey: 'access_log.plaintext_sampled',
        percentSampled: { numerator: REQUESTS_PERCENT },
        useIndependentRandomness: true,
      },
    },
  }),
  end: expression('!connection.mtls'),
};

function ofType(...types: readonly AccessLogType[]): AccessLogFilter {
  return create(AccessLogFilterSchema, {
    filterSpecifier: { case: 'logTypeFilter', value: { types: [...types] } },
  });
}

function jsonLines(fields: JsonObject, anyOf: readonly AccessLogFilter[]): AccessLog {
  return create(AccessLogSchema, {
    name: 'envoy.access_loggers.stdout',
    ...filterOf(anyOf),
    configType: typedConfig(StdoutAccessLogSchema, {
      accessLogFormat: {
        case: 'logFormat',
        value: { format: { case: 'jsonFormat', value: fields }, omitEmptyValues: true },
      },
    }),
  });
}

/** Envoy refuses a set of one. */
function filterOf(anyOf: readonly AccessLogFilter[]): { readonly filter?: AccessLogFilter } {
  const [only] = anyOf;
  if (!only) return {};
  if (anyOf.length === 1) return { filter: only };
  const value = { filters: [...anyOf] };
  return {
    filter: create(AccessLogFilterSchema, { filterSpecifier: { case: 'orFilter', value } }),
  };
}
