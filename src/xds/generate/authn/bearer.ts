import { create } from '@bufbuild/protobuf';
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type RouteMatch,
  RouteMatchSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import type { TokenHeader, TokenRule } from '#policy/authn/jwt.ts';
import { patternMatcher } from '#xds/generate/authz/matchers.ts';

// How the header Authorization is read. Envoy looks for `Bearer ` anywhere in it and takes every
// other text for no token at all, so that a caller who writes `bearer` is a stranger, and whoever
// sends the bare token is let in as one.

const HEADER = 'authorization';
/** RFC 6750, 2.3. */
const PARAMETER = 'access_token';
/** The spellings that clients use; the scheme is compared without case (RFC 9110, 11.1). */
const SPELLINGS = ['Bearer', 'bearer', 'BEARER'] as const;

/** A scheme in one of these spellings, then one token. */
const WELL_FORMED = `(?:${SPELLINGS.join('|')}) +[^ ,]+ *`;
/** What means to be a token: the scheme somewhere, or three parts and no scheme. */
const MEANT = '(?i).*bearer.*|[-_a-z0-9]+\\.[-_a-z0-9]+\\.[-_a-z0-9]*';

/** Where a provider finds its tokens. */
export interface TokenPlaces {
  readonly headers: readonly TokenHeader[];
  readonly params: readonly string[];
}

/** Whether the tokens of a rule come in the header Authorization. */
export function usesBearer({ headers, params, cookies }: TokenRule): boolean {
  if (headers.length + params.length + cookies.length === 0) return true;
  return headers.some(isBearer);
}

/** The places of a rule, with the scheme in every spelling. */
export function bearerPlaces(rule: TokenRule): TokenPlaces {
  const { headers, params, cookies } = rule;
  const isDefault = headers.length + params.length + cookies.length === 0;
  const spelled = SPELLINGS.map((scheme) => ({ name: HEADER, prefix: `${scheme} ` }));
  if (isDefault) return { headers: spelled, params: [PARAMETER] };
  return { headers: headers.flatMap((one) => (isBearer(one) ? spelled : [one])), params };
}

/** Of the requests that match, those whose header means to carry a token and carries none. */
export function malformedBearer(match: RouteMatch): RouteMatch {
  return create(RouteMatchSchema, {
    ...match,
    headers: [...match.headers, matching(MEANT), matching(WELL_FORMED, true)],
  });
}

function isBearer({ name, prefix }: TokenHeader): boolean {
  return name.toLowerCase() === HEADER && /^bearer $/i.test(prefix);
}

function matching(regex: string, invertMatch = false): HeaderMatcher {
  return create(HeaderMatcherSchema, {
    name: HEADER,
    headerMatchSpecifier: { case: 'stringMatch', value: patternMatcher(regex) },
    invertMatch,
  });
}
