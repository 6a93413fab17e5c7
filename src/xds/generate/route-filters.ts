import type { Any } from '@bufbuild/protobuf/wkt';
import { GRPC_STATUSES } from '#api/kinds/virtual-service-feature-rules.ts';
import type { StringMatch } from '#api/kinds/virtual-service-match.ts';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { parseDurationMs } from '#base/duration.ts';
import { FilterConfigSchema } from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import { CorsPolicySchema } from '#gen/envoy-api/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import {
  type FaultAbortSchema,
  HTTPFaultSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { StringMatcherSchema } from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import {
  FractionalPercent_DenominatorType,
  type FractionalPercentSchema,
} from '#gen/envoy-api/envoy/type/v3/percent_pb.js';
import { CORS_FILTER, FAULT_FILTER } from '#xds/generate/http-filters.ts';
import { duration, type Init, pack } from '#xds/generate/proto-values.ts';

/** What a route of a VirtualService asks of filters that are off for all other routes. */
export function routeFilters({ fault, corsPolicy }: HttpRoute): Readonly<Record<string, Any>> {
  return {
    ...(fault && { [FAULT_FILTER]: turnedOn(pack(HTTPFaultSchema, faultOf(fault))) }),
    ...(corsPolicy && { [CORS_FILTER]: turnedOn(pack(CorsPolicySchema, corsOf(corsPolicy))) }),
  };
}

function turnedOn(config: Any): Any {
  return pack(FilterConfigSchema, { config });
}

type Share = Init<typeof FractionalPercentSchema>;

const PER_MILLION = 10_000;

/** Per cent in millionths, which is as fine as Envoy counts; all of them when nothing is said. */
export function shareOf(
  percentage: { readonly value?: number } | undefined,
  percent?: number,
): Share {
  const value = percentage ? (percentage.value ?? 0) : (percent ?? 100);
  return {
    numerator: Math.round(value * PER_MILLION),
    denominator: FractionalPercent_DenominatorType.MILLION,
  };
}

function faultOf({ delay, abort }: NonNullable<HttpRoute['fault']>): Init<typeof HTTPFaultSchema> {
  const delayMs = parseDurationMs(delay?.fixedDelay ?? '') ?? 0;
  return {
    ...(delayMs > 0 && {
      delay: {
        percentage: shareOf(delay?.percentage, delay?.percent),
        faultDelaySecifier: { case: 'fixedDelay', value: duration(delayMs) },
      },
    }),
    ...(abort && { abort: abortOf(abort) }),
  };
}

/** Nothing is aborted where no status is said. */
function abortOf(
  abort: NonNullable<NonNullable<HttpRoute['fault']>['abort']>,
): Init<typeof FaultAbortSchema> | undefined {
  const { httpStatus, grpcStatus } = abort;
  const percentage = shareOf(abort.percentage);
  if (httpStatus !== undefined)
    return { percentage, errorType: { case: 'httpStatus', value: httpStatus } };
  if (grpcStatus === undefined || !GRPC_STATUSES.includes(grpcStatus)) return undefined;
  return {
    percentage,
    errorType: { case: 'grpcStatus', value: GRPC_STATUSES.indexOf(grpcStatus) },
  };
}

function corsOf(cors: NonNullable<HttpRoute['corsPolicy']>): Init<typeof CorsPolicySchema> {
  const { allowOrigin = [], allowOrigins = [], allowMethods = [], allowHeaders = [] } = cors;
  const maxAgeMs = parseDurationMs(cors.maxAge ?? '') ?? 0;
  const origins = [...allowOrigins, ...allowOrigin.map((exact) => ({ exact }))];
  return {
    allowOriginStringMatch: origins.map(originOf),
    allowMethods: allowMethods.join(','),
    allowHeaders: allowHeaders.join(','),
    exposeHeaders: (cors.exposeHeaders ?? []).join(','),
    ...(maxAgeMs > 0 && { maxAge: String(Math.floor(maxAgeMs / 1000)) }),
    ...(typeof cors.allowCredentials === 'boolean' && { allowCredentials: cors.allowCredentials }),
    forwardNotMatchingPreflights: cors.unmatchedPreflights !== 'IGNORE',
  };
}

/** An origin `*` stands for every one. */
function originOf({ exact, prefix, regex }: StringMatch): Init<typeof StringMatcherSchema> {
  if (prefix !== undefined) return { matchPattern: { case: 'prefix', value: prefix } };
  const pattern = exact === '*' ? '.*' : regex;
  if (pattern !== undefined)
    return { matchPattern: { case: 'safeRegex', value: { regex: pattern } } };
  return { matchPattern: { case: 'exact', value: exact ?? '' } };
}
