import { create } from '@bufbuild/protobuf';
import {
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_pb.js';
import { OFFERS_HTTP } from '#xds/generate/http-filters.ts';
import { UNLIMITED } from '#xds/generate/inbound-route.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import type { Init } from '#xds/generate/proto-values.ts';
import type { PlannedRoute } from '#xds/generate/route-plan.ts';
import { RETRIES } from '#xds/generate/route-retries.ts';
import { virtualServiceRoute } from '#xds/generate/virtual-service-route.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** Hosts that lead to a cluster. Plain JSON values. */
export interface RoutedHost {
  /** `<host>:<port>`. */
  readonly name: string;
  readonly domains: readonly string[];
  readonly cluster: string;
  /** The cluster's port has no declared protocol, so connections must say that they carry HTTP. */
  readonly offersHttp: boolean;
  /** Replaces the Host header, where the caller could not use the right one; '' = keeps it. */
  readonly authority: string;
  /** What a VirtualService makes of requests; absent = all of them go to `cluster`. */
  readonly routes?: readonly PlannedRoute[];
  /** Whether plaintext requests are sent to HTTPS. */
  readonly requiresTls?: boolean;
}

/** What becomes of requests for hosts that nothing is known of. */
export type UnknownHosts = 'pass' | 'block' | 'explain';

/** A route configuration. Plain JSON values: it is a cache key. */
export interface OutboundRouteInput {
  readonly name: string;
  readonly hosts: readonly RoutedHost[];
  /**
   * Whether the caller's port is known from the listener, so that a port in the Host header says
   * nothing new.
   */
  readonly ignoresPort: boolean;
  /** Absent where every host is routed. */
  readonly unknownHosts?: UnknownHosts;
}

/** In explicit mode, to applications that use the HTTP proxy listener. */
const UNKNOWN_HOST_BODY =
  'No service of the mesh has this name and port. This proxy listener serves the mesh only: ' +
  'call other hosts directly (NO_PROXY), or describe them with a ServiceEntry.\n';

/** Routes requests by host. */
export function buildOutboundRoute(input: OutboundRouteInput): XdsResource {
  const message: RouteConfiguration = create(RouteConfigurationSchema, {
    name: input.name,
    validateClusters: false,
    ignorePortInHostMatching: input.ignoresPort,
    ...(input.hosts.some(({ routes }) => routes?.some(isLarge)) && {
      maxDirectResponseBodySizeBytes: ANSWER_BYTES_MAX,
    }),
    virtualHosts: [
      ...input.hosts.map(virtualHost),
      ...(input.unknownHosts === undefined ? [] : [UNKNOWN[input.unknownHosts]]),
    ],
  });
  return encodeResource(TYPE_URL.route, input.name, RouteConfigurationSchema, message);
}

/** As much as a VirtualService may say. Envoy takes 4096 bytes unless it is told otherwise. */
const ANSWER_BYTES_MAX = 1024 * 1024;

function isLarge({ does }: PlannedRoute): boolean {
  const { string = '', bytes = '' } = does.directResponse?.body ?? {};
  return Buffer.byteLength(string) + bytes.length > 4096;
}

type HostInit = Init<typeof VirtualHostSchema>;
type RouteInit = NonNullable<HostInit['routes']>[number];

const { ALL: TLS_FOR_ALL, NONE: TLS_FOR_NONE } = VirtualHost_TlsRequirementType;

const EVERYTHING = { pathSpecifier: { case: 'prefix', value: '/' } } as const;

function virtualHost(host: RoutedHost): VirtualHost {
  const { name, domains, cluster, offersHttp, authority, routes: planned } = host;
  if (planned) {
    const routes = planned.map((route) => virtualServiceRoute(route, authority));
    const requireTls = host.requiresTls ? TLS_FOR_ALL : TLS_FOR_NONE;
    return create(VirtualHostSchema, { name, domains: [...domains], routes, requireTls });
  }
  const route: RouteInit = {
    name: 'default',
    match: EVERYTHING,
    typedPerFilterConfig: offersHttp ? { ...OFFERS_HTTP } : {},
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: cluster },
        ...(authority !== '' && {
          hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority },
        }),
        retryPolicy: RETRIES,
        ...UNLIMITED,
      },
    },
  };
  return create(VirtualHostSchema, { name, domains: [...domains], routes: [route] });
}

function refusing(name: string, body: string): VirtualHost {
  const route: RouteInit = {
    match: EVERYTHING,
    action: {
      case: 'directResponse',
      value: {
        status: 502,
        ...(body !== '' && { body: { specifier: { case: 'inlineString', value: body } } }),
      },
    },
  };
  return create(VirtualHostSchema, { name, domains: ['*'], routes: [route] });
}

/** As Istio names them; `explain` is for callers that chose the listener by hand. */
const UNKNOWN: Readonly<Record<UnknownHosts, VirtualHost>> = {
  pass: create(VirtualHostSchema, {
    name: 'allow_any',
    domains: ['*'],
    routes: [
      {
        match: EVERYTHING,
        action: {
          case: 'route',
          value: {
            clusterSpecifier: { case: 'cluster', value: CLUSTER_NAMES.passthrough },
            ...UNLIMITED,
          },
        },
      },
    ],
  }),
  block: refusing('block_all', ''),
  explain: refusing('unknown_host', UNKNOWN_HOST_BODY),
};
