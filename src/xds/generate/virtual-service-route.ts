import { create } from '@bufbuild/protobuf';
import type { HeaderChanges, HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { parseDurationMs } from '#base/duration.ts';
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
} from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  type DirectResponseActionSchema,
  RedirectAction_RedirectResponseCode,
  type RedirectActionSchema,
  type Route,
  type RouteActionSchema,
  RouteSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import { changedHost, isHostName } from '#policy/routing/changed-request.ts';
import { OFFERS_HTTP } from '#xds/generate/http-filters.ts';
import { UNLIMITED } from '#xds/generate/inbound-route.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { duration, type Init } from '#xds/generate/proto-values.ts';
import { routeFilters, shareOf } from '#xds/generate/route-filters.ts';
import { routeMatch } from '#xds/generate/route-match.ts';
import type { PlannedRoute, RoutedCluster } from '#xds/generate/route-plan.ts';
import { retryPolicy } from '#xds/generate/route-retries.ts';

/**
 * A route of a VirtualService in Envoy's words.
 * @param authority replaces the Host header unless the object says otherwise; '' = keeps it
 */
export function virtualServiceRoute(planned: PlannedRoute, authority: string): Route {
  const { name, match, does, clusters } = planned;
  const only = clusters.length === 1 ? clusters[0] : undefined;
  const filters = { ...routeFilters(does), ...(only?.offersHttp && OFFERS_HTTP) };
  return create(RouteSchema, {
    name,
    match: routeMatch(match),
    action: actionOf(planned, authority),
    ...headerChanges(does.headers, only?.headers),
    typedPerFilterConfig: filters,
  });
}

type ActionInit = NonNullable<Init<typeof RouteSchema>['action']>;

function actionOf(planned: PlannedRoute, authority: string): ActionInit {
  const { redirect, directResponse } = planned.does;
  if (redirect) return { case: 'redirect', value: redirectOf(redirect, planned.port) };
  if (directResponse) return { case: 'directResponse', value: answerOf(directResponse) };
  return { case: 'route', value: forwardingOf(planned, authority) };
}

function answerOf({
  status,
  body,
}: NonNullable<HttpRoute['directResponse']>): Init<typeof DirectResponseActionSchema> {
  if (body?.bytes !== undefined) {
    const value = Buffer.from(body.bytes, 'base64');
    return { status, body: { specifier: { case: 'inlineBytes', value } } };
  }
  if (!body?.string) return { status };
  return { status, body: { specifier: { case: 'inlineString', value: body.string } } };
}

const REDIRECTS: Readonly<Record<number, RedirectAction_RedirectResponseCode>> = {
  301: RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  302: RedirectAction_RedirectResponseCode.FOUND,
  303: RedirectAction_RedirectResponseCode.SEE_OTHER,
  307: RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT,
  308: RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT,
};
/** How a path of a redirect says that it replaces the matched prefix only. */
const PREFIX = '%PREFIX()%';

function redirectOf(
  redirect: NonNullable<HttpRoute['redirect']>,
  calledPort: number,
): Init<typeof RedirectActionSchema> {
  const { uri = '', authority = '', scheme, port, derivePort, redirectCode = 0 } = redirect;
  const prefix = redirect.prefixRewrite || (uri.startsWith(PREFIX) ? uri.slice(PREFIX.length) : '');
  const portOf = derivePort === 'FROM_REQUEST_PORT' ? calledPort : port;
  return {
    hostRedirect: authority,
    ...(portOf && { portRedirect: portOf }),
    ...(scheme && { schemeRewriteSpecifier: { case: 'schemeRedirect', value: scheme } }),
    ...(prefix
      ? { pathRewriteSpecifier: { case: 'prefixRewrite', value: prefix } }
      : uri && { pathRewriteSpecifier: { case: 'pathRedirect', value: uri } }),
    responseCode: REDIRECTS[redirectCode] ?? RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  };
}

function forwardingOf(planned: PlannedRoute, authority: string): Init<typeof RouteActionSchema> {
  const { does, clusters, mirrors } = planned;
  const { rewrite, timeout, retries } = does;
  const asked = [does.headers, ...clusters.map((cluster) => cluster.headers)];
  const host = rewrite?.authority || changedHost(asked) || authority;
  const retry = retryPolicy(retries);
  const { uriRegexRewrite } = rewrite ?? {};
  return {
    clusterSpecifier: specifierOf(clusters),
    ...(host !== '' && { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: host } }),
    ...(rewrite?.uri && { prefixRewrite: rewrite.uri }),
    ...(uriRegexRewrite && {
      regexRewrite: {
        pattern: { regex: uriRegexRewrite.match ?? '' },
        substitution: uriRegexRewrite.rewrite ?? '',
      },
    }),
    ...(retry && { retryPolicy: retry }),
    requestMirrorPolicies: mirrors.map(({ name, percent }) => ({
      cluster: name,
      runtimeFraction: { defaultValue: shareOf({ value: percent }) },
    })),
    ...limitsOf(timeout),
  };
}

function limitsOf(timeout: string | undefined): Init<typeof RouteActionSchema> {
  const timeoutMs = timeout === undefined ? 0 : (parseDurationMs(timeout) ?? 0);
  if (timeoutMs === 0) return UNLIMITED;
  const limit = duration(timeoutMs);
  return { timeout: limit, maxStreamDuration: { grpcTimeoutHeaderMax: limit } };
}

function specifierOf(
  clusters: readonly RoutedCluster[],
): NonNullable<Init<typeof RouteActionSchema>['clusterSpecifier']> {
  const [first] = clusters;
  if (clusters.length <= 1)
    return { case: 'cluster', value: first?.name ?? CLUSTER_NAMES.blackHole };
  return {
    case: 'weightedClusters',
    value: {
      clusters: clusters.map(({ name, weight, offersHttp, headers }) => ({
        name,
        weight,
        ...headerChanges(headers),
        ...(offersHttp && { typedPerFilterConfig: { ...OFFERS_HTTP } }),
      })),
    },
  };
}

interface HeaderFields {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

/** The changes of several places, in Envoy's fields. */
function headerChanges(...places: readonly (HeaderChanges | undefined)[]): HeaderFields {
  const requests = places.map((place) => place?.request ?? {});
  const responses = places.map((place) => place?.response ?? {});
  return {
    requestHeadersToAdd: requests.flatMap(addedHeaders),
    requestHeadersToRemove: requests.flatMap(({ remove = [] }) => remove),
    responseHeadersToAdd: responses.flatMap(addedHeaders),
    responseHeadersToRemove: responses.flatMap(({ remove = [] }) => remove),
  };
}

const { OVERWRITE_IF_EXISTS_OR_ADD, APPEND_IF_EXISTS_OR_ADD } =
  HeaderValueOption_HeaderAppendAction;

function addedHeaders({
  set = {},
  add = {},
}: NonNullable<HeaderChanges['request']>): HeaderValueOption[] {
  const options = (
    headers: Readonly<Record<string, string>>,
    appendAction: HeaderValueOption_HeaderAppendAction,
  ) =>
    Object.entries(headers)
      .filter(([name]) => !isHostName(name))
      .map(([key, value]) =>
        create(HeaderValueOptionSchema, { header: { key, value }, appendAction }),
      );
  return [...options(set, OVERWRITE_IF_EXISTS_OR_ADD), ...options(add, APPEND_IF_EXISTS_OR_ADD)];
}
