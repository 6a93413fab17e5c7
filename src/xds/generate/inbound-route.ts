import { create } from '@bufbuild/protobuf';
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_pb.js';
import { DENIAL_HEADER } from '#xds/generate/authz/denials.ts';
import { duration } from '#xds/generate/proto-values.ts';

/** Which port of the workload a route leads to. */
export interface InboundRouteInput {
  readonly port: number | undefined;
  readonly cluster: string;
}

/**
 * No time-outs of ours on requests: streams may last as long as both ends want, the caller limits
 * itself.
 */
export const UNLIMITED = {
  timeout: duration(0),
  maxStreamDuration: { maxStreamDuration: duration(0), grpcTimeoutHeaderMax: duration(0) },
} as const;

/** The one route of calls to a port of the workload; it is part of the listener. */
export function buildInboundRoute(
  { port, cluster }: InboundRouteInput,
  { denialHeader }: { readonly denialHeader: boolean },
): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: cluster,
    validateClusters: false,
    // Only the proxy says what its policies denied, not the application behind it.
    responseHeadersToRemove: denialHeader ? [DENIAL_HEADER] : [],
    virtualHosts: [
      {
        name: `inbound|http|${port ?? 0}`,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: { pathSpecifier: { case: 'prefix', value: '/' } },
            action: {
              case: 'route',
              value: { clusterSpecifier: { case: 'cluster', value: cluster }, ...UNLIMITED },
            },
          },
        ],
      },
    ],
  });
}
