import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { FilterConfigSchema } from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import { FilterStateValue_SharedWithUpstream } from '#gen/envoy-api/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js';
import { CorsSchema } from '#gen/envoy-api/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { HTTPFaultSchema } from '#gen/envoy-api/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { RouterSchema } from '#gen/envoy-api/envoy/extensions/filters/http/router/v3/router_pb.js';
import { ConfigSchema as SetFilterStateSchema } from '#gen/envoy-api/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import { jwtFilter } from '#xds/generate/authn/filter.ts';
import {
  agentFilters,
  customFilters,
  httpAuthzFilters,
  revokedPeersFilter,
} from '#xds/generate/authz/filters.ts';
import { pack, typedConfig } from '#xds/generate/proto-values.ts';

/** What a filter of an HTTP connection manager is there for. */
type HttpFilterRole =
  | 'revocation'
  | 'providers'
  | 'authentication'
  | 'agent'
  | 'authorization'
  | 'origins'
  | 'fault'
  | 'applicationProtocol'
  | 'router';

/**
 * The order in which filters run: every role has its place, and no filter stands in a manager
 * without one.
 */
const ORDER: Readonly<Record<HttpFilterRole, number>> = {
  revocation: 2,
  providers: 3,
  authentication: 5,
  agent: 8,
  authorization: 10,
  origins: 14,
  fault: 16,
  applicationProtocol: 20,
  router: 30,
};

type Placed = readonly [HttpFilterRole, HttpFilter];

const APPLICATION_PROTOCOL_FILTER = 'application_protocol';

/**
 * A cluster whose port has no declared protocol offers `istio`, which the other side takes for TCP.
 * Where a request goes over it we know better, and say so for its connection.
 */
const APPLICATION_PROTOCOL: Placed = [
  'applicationProtocol',
  create(HttpFilterSchema, {
    name: APPLICATION_PROTOCOL_FILTER,
    disabled: true,
    configType: typedConfig(SetFilterStateSchema, {
      onRequestHeaders: [
        {
          key: { case: 'objectKey', value: 'envoy.network.application_protocols' },
          value: {
            case: 'formatString',
            value: {
              format: {
                case: 'textFormatSource',
                value: { specifier: { case: 'inlineString', value: 'istio-http/1.1' } },
              },
            },
          },
          sharedWithUpstream: FilterStateValue_SharedWithUpstream.ONCE,
        },
      ],
    }),
  }),
];

/** For routes to such clusters: turns the filter on, which is off for all others. */
export const OFFERS_HTTP: Readonly<Record<string, Any>> = {
  [APPLICATION_PROTOCOL_FILTER]: pack(FilterConfigSchema, { config: {} }),
};

/** Names of filters that routes of a VirtualService turn on. */
export const CORS_FILTER = 'envoy.filters.http.cors';
/** As above. */
export const FAULT_FILTER = 'envoy.filters.http.fault';

const CORS: Placed = [
  'origins',
  create(HttpFilterSchema, {
    name: CORS_FILTER,
    disabled: true,
    configType: typedConfig(CorsSchema, {}),
  }),
];

const FAULT: Placed = [
  'fault',
  create(HttpFilterSchema, {
    name: FAULT_FILTER,
    disabled: true,
    configType: typedConfig(HTTPFaultSchema, {}),
  }),
];

const ROUTER: Placed = [
  'router',
  create(HttpFilterSchema, {
    name: 'envoy.filters.http.router',
    configType: typedConfig(RouterSchema, {}),
  }),
];

/** A port of the workload; 0 = any that has no chain of its own. */
interface JudgedPort {
  readonly port: number;
  readonly principal: PrincipalBinding;
  /** Whether the agent is asked about requests. */
  readonly asksAgent: boolean;
}

/** The filters for calls to a port of the workload. */
export function inboundHttpFilters(to: JudgedPort): HttpFilter[] {
  return inOrder([...judging(to), ROUTER]);
}

function judging(to: JudgedPort): readonly Placed[] {
  return [
    ['revocation', revokedPeersFilter()],
    ...customFilters().map((filter) => ['providers', filter] as const),
    ['authentication', jwtFilter(to.port)],
    ...(to.asksAgent ? agentFilters() : []).map((filter) => ['agent', filter] as const),
    ...httpAuthzFilters(to.principal).map((filter) => ['authorization', filter] as const),
  ];
}

/** The filters for the workload's own calls. */
export function outboundHttpFilters(): HttpFilter[] {
  return inOrder([CORS, FAULT, APPLICATION_PROTOCOL, ROUTER]);
}

/** The filters of a gateway: it judges callers, and routes their calls. */
export function gatewayHttpFilters(to: Pick<JudgedPort, 'asksAgent'>): HttpFilter[] {
  const judges = judging({ ...to, port: 0, principal: 'peer' });
  return inOrder([...judges, CORS, FAULT, APPLICATION_PROTOCOL, ROUTER]);
}

/** Filters of one role keep the order that they were given in. */
function inOrder(filters: readonly Placed[]): HttpFilter[] {
  return [...filters].sort(([a], [b]) => ORDER[a] - ORDER[b]).map(([, filter]) => filter);
}
