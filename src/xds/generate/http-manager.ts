import { create } from '@bufbuild/protobuf';
import { ApiVersion } from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import {
  type Filter,
  FilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import type { RouteConfiguration } from '#gen/envoy-api/envoy/config/route/v3/route_pb.js';
import {
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { HeaderMutationSchema } from '#gen/envoy-api/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.js';
import type { HardeningProfile, PathNormalization } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import { HARDENING } from '#policy/hardening.ts';
import { PATH_NORMALIZATIONS } from '#policy/path-normalization.ts';
import { PROXY_HEADER_PREFIXES, PROXY_HEADERS } from '#policy/proxy-headers.ts';
import { httpAccessLog, type LoggedRequests, plaintextLog } from '#xds/generate/access-log.ts';
import type { PathFate } from '#xds/generate/access-log-fields.ts';
import { type AuditStreams, httpAuditStreams } from '#xds/generate/audit-stream.ts';
import { denialReplies, type RuleDenial } from '#xds/generate/authz/denials.ts';
import {
  gatewayHttpFilters,
  inboundHttpFilters,
  outboundHttpFilters,
} from '#xds/generate/http-filters.ts';
import { duration, type Init, pack, typedConfig } from '#xds/generate/proto-values.ts';

type ManagerInit = Init<typeof HttpConnectionManagerSchema>;

/** What both directions need to know. */
interface ManagerInput {
  readonly hardening: HardeningProfile;
  readonly pathNormalization: PathNormalization;
  readonly accessLog: LoggedRequests;
  readonly statPrefix: string;
  /** For the log: the port of the workload or of the service; 0 = any. */
  readonly port: number;
}

/** A manager for calls to the workload. */
export interface InboundManagerInput extends ManagerInput {
  readonly route: RouteConfiguration;
  /** What rules tell callers in place of what every denial says. */
  readonly denials: readonly RuleDenial[];
  /** Whether callers are told which rule denied them. */
  readonly denialHeader: boolean;
  /** Whether the agent is asked about requests. */
  readonly asksAgent: boolean;
  /** Whose identity principals of policies are about. */
  readonly principal: PrincipalBinding;
  readonly audit: AuditStreams;
  /** Whether its callers come without mutual TLS. */
  readonly isPlaintext: boolean;
}

/** What is known of callers that are judged. */
type JudgingInput = Omit<InboundManagerInput, 'route' | 'principal'>;

/** A manager for calls to a gateway. */
type GatewayManagerInput = Omit<JudgingInput, 'isPlaintext'> &
  Pick<OutboundManagerInput, 'routeName'> & {
    /** As `GatewayTopology` has it. */
    readonly trustedProxies: number;
  };

/** A manager for the workload's own calls. */
export interface OutboundManagerInput extends ManagerInput {
  /** Name of the route configuration, served beside the listener. */
  readonly routeName: string;
}

/**
 * A stream without a byte in either direction for so long is given up: long polls and event streams
 * live longer.
 */
const STREAM_IDLE_MS = 60 * 60 * 1000;
/**
 * Time for a caller to send its headers (against callers that hold connections with half a
 * request).
 */
const REQUEST_HEADERS_MS = 60 * 1000;

/**
 * A network filter that serves HTTP to callers of the workload: it judges, writes down, and hands
 * on.
 */
export function inboundHttpManager(input: InboundManagerInput): Filter {
  const { callerAddressIsPeers } = HARDENING[input.hardening];
  return manager({
    ...judging(input, 'kept'),
    routeSpecifier: { case: 'routeConfig', value: input.route },
    httpFilters: inboundHttpFilters(input),
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    useRemoteAddress: callerAddressIsPeers,
    preserveExternalRequestId: true,
  });
}

/** A network filter that takes calls from outside: it judges them and routes them by host. */
export function gatewayHttpManager(input: GatewayManagerInput): Filter {
  return manager({
    ...judging({ ...input, isPlaintext: false }, 'rewritten'),
    routeSpecifier: routesNamed(input.routeName),
    httpFilters: gatewayHttpFilters(input),
    useRemoteAddress: true,
    xffNumTrustedHops: input.trustedProxies,
    ...(input.trustedProxies > 0 &&
      HARDENING[input.hardening].proxyHeadersAreStripped && {
        earlyHeaderMutationExtensions: [STRIP_ALL_BUT_ADDRESSES],
      }),
    stripTrailingHostDot: true,
    http2ProtocolOptions: OUTSIDE_HTTP2,
  });
}

/** What callers from outside may have open at a time: they may be anybody. */
const OUTSIDE_HTTP2 = {
  maxConcurrentStreams: 100,
  initialStreamWindowSize: 64 * 1024,
  initialConnectionWindowSize: 1024 * 1024,
};

/** What is common to managers that judge their callers. */
function judging(input: JudgingInput, paths: PathFate): ManagerInit {
  const { proxyHeadersAreStripped } = HARDENING[input.hardening];
  return {
    ...common(input),
    accessLog: [
      httpAccessLog({ direction: 'inbound', port: input.port }, input.accessLog, paths),
      ...(input.isPlaintext ? [plaintextLog('request')] : []),
      ...httpAuditStreams(input.audit, paths),
    ],
    ...denialReplies(input.denials, input.denialHeader),
    // The header says what the handshake proved, whatever the caller sent; without mutual TLS it is
    // taken away.
    forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET,
    setCurrentClientCertDetails: { uri: true },
    earlyHeaderMutationExtensions: proxyHeadersAreStripped
      ? [STRIP_PROXY_HEADERS]
      : paths === 'rewritten'
        ? [STRIP_ORIGINAL_PATH]
        : [],
  };
}

/** A network filter that takes the workload's own HTTP calls and routes them by host. */
export function outboundHttpManager(input: OutboundManagerInput): Filter {
  return manager({
    ...common(input),
    accessLog: [
      httpAccessLog({ direction: 'outbound', port: input.port }, input.accessLog, 'rewritten'),
    ],
    routeSpecifier: routesNamed(input.routeName),
    httpFilters: outboundHttpFilters(),
    // What an application claims about client certificates does not leave its host.
    forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails.SANITIZE,
    useRemoteAddress: false,
    stripTrailingHostDot: true,
  });
}

function routesNamed(routeConfigName: string): NonNullable<ManagerInit['routeSpecifier']> {
  const configSource = {
    resourceApiVersion: ApiVersion.V3,
    initialFetchTimeout: duration(0),
    configSourceSpecifier: { case: 'ads', value: {} },
  } as const;
  return { case: 'rds', value: { routeConfigName, configSource } };
}

function common({ pathNormalization, statPrefix }: ManagerInput): ManagerInit {
  const { normalizes, mergesSlashes, unescapesSlashes } = PATH_NORMALIZATIONS[pathNormalization];
  const action = HttpConnectionManager_PathWithEscapedSlashesAction;
  return {
    statPrefix,
    serverName: 'istio-envoy',
    streamIdleTimeout: duration(STREAM_IDLE_MS),
    requestHeadersTimeout: duration(REQUEST_HEADERS_MS),
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    normalizePath: normalizes,
    mergeSlashes: mergesSlashes,
    pathWithEscapedSlashesAction: unescapesSlashes
      ? action.UNESCAPE_AND_FORWARD
      : action.KEEP_UNCHANGED,
  };
}

/** Runs before Envoy itself looks at the headers, so that what it adds stays. */
function stripping(names: readonly string[], prefixes: readonly string[]) {
  return {
    name: 'envoy.http.early_header_mutation.header_mutation',
    typedConfig: pack(HeaderMutationSchema, {
      mutations: [
        ...names.map((name) => ({ action: { case: 'remove' as const, value: name } })),
        ...prefixes.map((prefix) => ({
          action: {
            case: 'removeOnMatch' as const,
            value: { keyMatcher: { matchPattern: { case: 'prefix' as const, value: prefix } } },
          },
        })),
      ],
    }),
  };
}

const STRIP_PROXY_HEADERS = stripping(PROXY_HEADERS, PROXY_HEADER_PREFIXES);
/** Where proxies that are trusted stand before a gateway: they say who called. */
const STRIP_ALL_BUT_ADDRESSES = stripping(
  PROXY_HEADERS.filter((name) => name !== 'x-forwarded-for'),
  PROXY_HEADER_PREFIXES,
);
/** Where it counts as the path that was sent, in what is written down. */
const STRIP_ORIGINAL_PATH = stripping(['x-envoy-original-path'], []);

function manager(init: ManagerInit): Filter {
  return create(FilterSchema, {
    name: 'envoy.filters.network.http_connection_manager',
    configType: typedConfig(HttpConnectionManagerSchema, init),
  });
}
