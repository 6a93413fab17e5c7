import { create } from '@bufbuild/protobuf';
import { ApiVersion } from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import type { GrpcServiceSchema } from '#gen/envoy-api/envoy/config/core/v3/grpc_service_pb.js';
import {
  type ExtAuthz as HttpExtAuthz,
  ExtAuthzSchema as HttpExtAuthzSchema,
  type HttpServiceSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import {
  type ExtAuthz as NetworkExtAuthz,
  ExtAuthzSchema as NetworkExtAuthzSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import type { MetadataMatcher } from '#gen/envoy-api/envoy/type/matcher/v3/metadata_pb.js';
import {
  type ListStringMatcher,
  ListStringMatcherSchema,
} from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import type { ExtensionProvider, HeaderPatterns, HttpCheck } from '#model/extension-provider.ts';
import { parseTextMatch } from '#policy/authz/text-match.ts';
import { metadataMatcher, textMatcher, textValue } from '#xds/generate/authz/matchers.ts';
import { outboundClusterName } from '#xds/generate/naming.ts';
import { duration, type Init } from '#xds/generate/proto-values.ts';

/** Prefix of the ids of all rules that providers are asked about. */
const CHECKED = 'istio-ext-authz-';

/** Prefix of the ids under which the rules of a provider are tried, as Istio has it. */
export function checkedBy(provider: string): string {
  return `${CHECKED}${provider}`;
}

/**
 * The keys under which the rules of a place leave their verdict: each place has its own, or the
 * second provider of a workload would overwrite the first. Place 0 is called as in Istio.
 */
export function verdictPrefix(place: number): string {
  return place === 0 ? 'istio_ext_authz_' : `istio_ext_authz_${place}_`;
}

/** Metadata namespaces of the filters that try the rules. */
const HTTP_RBAC = 'envoy.filters.http.rbac';
const NETWORK_RBAC = 'envoy.filters.network.rbac';

/**
 * The HTTP filter that asks a provider about what the rules at `place` matched.
 * @param everyMatch Hardening.everyCustomMatchIsAsked
 */
export function buildHttpCheck(
  provider: ExtensionProvider,
  place: number,
  everyMatch: boolean,
): HttpExtAuthz {
  const { check, failOpen, statusOnError, body, clearsRouteCache } = provider;
  return create(HttpExtAuthzSchema, {
    services:
      check.over === 'http'
        ? { case: 'httpService', value: httpService(provider, check) }
        : { case: 'grpcService', value: grpcService(provider) },
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: failOpen,
    clearRouteCache: clearsRouteCache,
    filterEnabledMetadata: isAsked(
      HTTP_RBAC,
      place,
      everyMatch ? CHECKED : checkedBy(provider.name),
    ),
    ...(statusOnError !== undefined && { statusOnError: { code: statusOnError } }),
    ...(body && {
      withRequestBody: {
        maxRequestBytes: body.bytesMax,
        allowPartialMessage: body.partial,
        packAsBytes: body.binary,
      },
    }),
    ...(check.over === 'http' && patterns('allowedHeaders', check.asks)),
  });
}

/** The same for plain connections, of a provider that is asked over gRPC. */
export function buildNetworkCheck(
  provider: ExtensionProvider,
  place: number,
  everyMatch: boolean,
): NetworkExtAuthz {
  return create(NetworkExtAuthzSchema, {
    statPrefix: 'tcp.',
    grpcService: grpcService(provider),
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: provider.failOpen,
    filterEnabledMetadata: isAsked(
      NETWORK_RBAC,
      place,
      everyMatch ? CHECKED : checkedBy(provider.name),
    ),
  });
}

function httpService(
  provider: ExtensionProvider,
  check: HttpCheck,
): Init<typeof HttpServiceSchema> {
  const { host, timeoutMs } = provider;
  const response = {
    ...patterns('allowedUpstreamHeaders', check.toApplication),
    ...patterns('allowedClientHeaders', check.toDenied),
    ...patterns('allowedClientHeadersOnSuccess', check.toAllowed),
  };
  return {
    pathPrefix: check.pathPrefix,
    serverUri: {
      // Envoy wants a URI here, and connects to the cluster.
      uri: `http://${host}`,
      httpUpstreamType: { case: 'cluster', value: clusterOf(provider) },
      timeout: duration(timeoutMs),
    },
    ...(check.adds.length > 0 && {
      authorizationRequest: {
        headersToAdd: check.adds.map(([key, value]) => ({ key, value })),
      },
    }),
    ...(Object.keys(response).length > 0 && { authorizationResponse: response }),
  };
}

function grpcService(provider: ExtensionProvider): Init<typeof GrpcServiceSchema> {
  const { host, timeoutMs } = provider;
  return {
    targetSpecifier: {
      case: 'envoyGrpc',
      value: { clusterName: clusterOf(provider), authority: host },
    },
    timeout: duration(timeoutMs),
  };
}

function clusterOf({ host, port }: ExtensionProvider): string {
  return outboundClusterName(port, '', host);
}

function isAsked(filter: string, place: number, prefix: string): MetadataMatcher {
  const key = `${verdictPrefix(place)}shadow_effective_policy_id`;
  return metadataMatcher(filter, [key], textValue({ match: 'prefix', value: prefix }));
}

/** A field with a list of names of headers, which are compared without case; none when empty. */
function patterns<F extends string>(
  field: F,
  headers: HeaderPatterns,
): { readonly [K in F]?: ListStringMatcher } {
  if (headers.length === 0) return {};
  const list = headers.map((header) => {
    const matcher = textMatcher(parseTextMatch(header));
    matcher.ignoreCase = matcher.matchPattern.case !== 'safeRegex';
    return matcher;
  });
  const value = create(ListStringMatcherSchema, { patterns: list });
  return { [field]: value } as { readonly [K in F]?: ListStringMatcher };
}
