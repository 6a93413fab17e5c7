import { create } from '@bufbuild/protobuf';
import { routingClaim } from '#api/kinds/routing-claim.ts';
import type { HttpMatch, StringMatch } from '#api/kinds/virtual-service-match.ts';
import type {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import type { MetadataMatcherSchema } from '#gen/envoy-api/envoy/type/matcher/v3/metadata_pb.js';
import type { StringMatcherSchema } from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import { ValueMatcherSchema } from '#gen/envoy-api/envoy/type/matcher/v3/value_pb.js';
import { JWT_PAYLOAD } from '#xds/generate/authn/jwt.ts';
import { anyValue, listValue } from '#xds/generate/authz/matchers.ts';
import type { Init } from '#xds/generate/proto-values.ts';

/** Matches every request. */
const EVERY_REQUEST = { pathSpecifier: { case: 'prefix', value: '/' } } as const;

type HeaderInit = Init<typeof HeaderMatcherSchema>;

/** A condition of a VirtualService in Envoy's words; conditions on callers are not part of it. */
export function routeMatch(match: HttpMatch | undefined): Init<typeof RouteMatchSchema> {
  if (!match) return EVERY_REQUEST;
  const { uri, ignoreUriCase, scheme, method, authority } = match;
  const pseudo = { ':scheme': scheme, ':method': method, ':authority': authority };
  const named = Object.entries(match.headers ?? {});
  const headers = [...named.filter(isHeader), ...Object.entries(pseudo)];
  const left = Object.entries(match.withoutHeaders ?? {});
  const without = left.filter(isHeader);
  return {
    ...pathOf(uri),
    // Of regular expressions this says nothing: they have a flag for it.
    ...(ignoreUriCase && uri?.regex === undefined && { caseSensitive: false }),
    headers: [
      ...headers.flatMap(([name, value]) => (value ? [headerOf(name, value, false)] : [])),
      ...without.map(([name, value]) => headerOf(name, value, true)),
    ],
    dynamicMetadata: [
      ...named.flatMap(([name, value]) => claimOf(name, value, false)),
      ...left.flatMap(([name, value]) => claimOf(name, value, true)),
    ],
    queryParameters: Object.entries(match.queryParams ?? {}).map(([name, value]) =>
      parameterOf(name, value),
    ),
  };
}

function isHeader([name]: readonly [string, unknown]): boolean {
  return !name.startsWith('@');
}

/**
 * A condition on a claim of the verified token: a text, or a list with such a text. `negated`: a
 * token without the claim, or no token, fulfils it too.
 */
function claimOf(
  name: string,
  match: StringMatch,
  negated: boolean,
): readonly Init<typeof MetadataMatcherSchema>[] {
  if (isHeader([name, match])) return [];
  const path = routingClaim(name) ?? [name];
  const text = stringOf(match) ?? ANY_TEXT;
  const value = create(ValueMatcherSchema, { matchPattern: { case: 'stringMatch', value: text } });
  return [
    {
      filter: 'envoy.filters.http.jwt_authn',
      path: [JWT_PAYLOAD, ...path].map((key) => ({ segment: { case: 'key', value: key } })),
      value: anyValue([value, listValue(value)]),
      invert: negated,
    },
  ];
}

const ANY_TEXT = {
  matchPattern: { case: 'safeRegex', value: { regex: '(?s).*' } },
} as const;

function pathOf({ exact, prefix, regex }: StringMatch = {}): Init<typeof RouteMatchSchema> {
  if (exact !== undefined) return { pathSpecifier: { case: 'path', value: exact } };
  if (regex !== undefined) return { pathSpecifier: { case: 'safeRegex', value: { regex } } };
  return { pathSpecifier: { case: 'prefix', value: prefix ?? '/' } };
}

/** `negated`: a header that is not there fulfils it too. */
function headerOf(name: string, match: StringMatch, negated: boolean): HeaderInit {
  const value = stringOf(match);
  if (!value)
    return {
      name,
      headerMatchSpecifier: { case: 'presentMatch', value: true },
      invertMatch: negated,
    };
  return {
    name,
    headerMatchSpecifier: { case: 'stringMatch', value },
    invertMatch: negated,
    treatMissingHeaderAsEmpty: negated,
  };
}

function parameterOf(name: string, match: StringMatch): Init<typeof QueryParameterMatcherSchema> {
  const value = stringOf(match);
  if (!value) return { name, queryParameterMatchSpecifier: { case: 'presentMatch', value: true } };
  return { name, queryParameterMatchSpecifier: { case: 'stringMatch', value } };
}

/** undefined = anything that is there. */
function stringOf({
  exact,
  prefix,
  regex,
}: StringMatch): Init<typeof StringMatcherSchema> | undefined {
  if (exact !== undefined) return { matchPattern: { case: 'exact', value: exact } };
  if (prefix) return { matchPattern: { case: 'prefix', value: prefix } };
  if (regex === undefined || regex === '*') return undefined;
  return { matchPattern: { case: 'safeRegex', value: { regex } } };
}
