import { create } from '@bufbuild/protobuf';
import type { RouteMatch } from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  type JwtProvider,
  JwtProviderSchema,
  type JwtRequirement,
  JwtRequirementSchema,
  type RequirementRuleSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import type { KeySets } from '#model/key-sets.ts';
import type { PortTokens, TokenKeys, TokenRule } from '#policy/authn/jwt.ts';
import { bearerPlaces, malformedBearer, usesBearer } from '#xds/generate/authn/bearer.ts';
import { EVERY_PATH, triggeredRequests } from '#xds/generate/authn/trigger.ts';
import { duration, type Init } from '#xds/generate/proto-values.ts';

/** Where the payload of a verified token is, for authorization (`principal.ts`). */
export const JWT_PAYLOAD = 'payload';

/**
 * A cluster that no proxy has. A provider that fetches its keys from there has none, so that every
 * token of it is answered 401. Unlike a key that stands for none, it cannot sign either.
 */
const NO_CLUSTER = 'no-keys-of-this-issuer';
const NO_KEYS = {
  case: 'remoteJwks',
  value: {
    httpUri: {
      uri: 'http://keys.invalid/',
      httpUpstreamType: { case: 'cluster', value: NO_CLUSTER },
      timeout: duration(1000),
    },
  },
} as const;

/** How tokens are judged beside the policies: by the hardening profile. */
export interface JwtOptions {
  /** Whether `isRequired` of a rule counts. */
  readonly enforceRequired: boolean;
  /** Whether a bad token is refused where none is needed either, as `originIsOptional` has it. */
  readonly refuseBadOptional: boolean;
  /** Whether the header Authorization is read as RFC 9110 has it, and refused otherwise. */
  readonly checkBearer: boolean;
  /** Whether the route is found anew once a token was verified: routes may ask for its claims. */
  readonly findsRouteAnew?: boolean;
}

/**
 * The configuration of the filter that verifies tokens: `jwt_authn` in the form that Istio gives
 * it. Without rules it lets every request through and looks at no token.
 */
export function buildJwtAuthentication(
  { rules, demand }: PortTokens,
  keySets: KeySets,
  options: JwtOptions,
): JwtAuthentication {
  if (rules.length === 0) return create(JwtAuthenticationSchema);
  const named = rules.map((rule, index) => ({ name: `origins-${index}`, ...rule }));
  const requests = triggeredRequests(named);
  // What cannot be told apart is refused: whoever is let in by mistake is not seen.
  if (requests === undefined) return refuseAll();
  const required = named.filter(({ isRequired }) => isRequired && options.enforceRequired);
  const requirement = (names: readonly string[]): JwtRequirement => {
    if (required.length > 0) return anyOf(required.map(({ name }) => byProvider(name)));
    if (demand === 'present') return anyOf(names.map(byProvider));
    if (demand === 'valid' || options.refuseBadOptional) return tokenOrNone(names);
    return anyOf([...names.map(byProvider), MISSING_OR_FAILED]);
  };
  const ruleFor = (match: RouteMatch, names: readonly string[]): readonly RequirementInit[] => {
    if (names.length === 0) return [{ match }];
    const requires = asked(match, requirement(names));
    const readsBearer = named.some((rule) => names.includes(rule.name) && usesBearer(rule));
    if (!options.checkBearer || !readsBearer) return [requires];
    return [asked(malformedBearer(match), byProvider(NOBODY)), requires];
  };
  const checked = options.checkBearer && named.some(usesBearer);
  const { checkBearer, findsRouteAnew = false } = options;
  const settings = { keySets, checkBearer, findsRouteAnew, kept: keptTokens(named.length) };
  return create(JwtAuthenticationSchema, {
    providers: {
      ...Object.fromEntries(named.map((rule) => [rule.name, provider(rule, settings)])),
      ...(checked ? { [NOBODY]: nobody() } : {}),
    },
    rules: requests.flatMap(({ match, providers }) => ruleFor(match, providers)),
    bypassCorsPreflight: true,
  });
}

type RequirementInit = Init<typeof RequirementRuleSchema>;

/** Requests, and what they need. */
function asked(match: RouteMatch, value: JwtRequirement): RequirementInit {
  return { match, requirementType: { case: 'requires', value } };
}

/**
 * Refuses every request, with or without token: what holds until a proxy has been told which tokens
 * it takes.
 */
export function refuseAll(): JwtAuthentication {
  return create(JwtAuthenticationSchema, {
    providers: { [NOBODY]: nobody() },
    rules: [asked(EVERY_PATH, byProvider(NOBODY))],
  });
}

/** The provider that takes no token. */
const NOBODY = 'nobody';

function nobody(): JwtProvider {
  return create(JwtProviderSchema, { jwksSourceSpecifier: NO_KEYS });
}

/**
 * A token that one provider takes is enough. Without one, each provider must find no token at its
 * places: a token that is there and that nobody takes is refused.
 */
function tokenOrNone(names: readonly string[]): JwtRequirement {
  const takenOrMissing = names.map((name) => anyOf([byProvider(name), MISSING]));
  const [only, ...more] = takenOrMissing;
  if (only !== undefined && more.length === 0) return only;
  return anyOf([...names.map(byProvider), allOf(takenOrMissing)]);
}

/**
 * How many verified tokens each worker of a proxy keeps for one issuer: their signature is not
 * verified again, all else is. Other keys, other rules, and they are forgotten.
 */
function keptTokens(issuers: number): number {
  return Math.max(KEPT_TOKENS.min, Math.floor(KEPT_TOKENS.all / issuers));
}

const KEPT_TOKENS = { all: 1000, min: 100 } as const;

interface ProviderSettings {
  readonly keySets: KeySets;
  readonly findsRouteAnew: boolean;
  readonly checkBearer: boolean;
  readonly kept: number;
}

function provider(rule: TokenRule, settings: ProviderSettings): JwtProvider {
  const { keySets, checkBearer, kept } = settings;
  const { headers, params } = checkBearer ? bearerPlaces(rule) : rule;
  return create(JwtProviderSchema, {
    issuer: rule.issuer,
    audiences: [...rule.audiences],
    jwksSourceSpecifier: keysSpecifier(rule.keys, keySets),
    forward: rule.forwards,
    forwardPayloadHeader: rule.payloadHeader,
    fromHeaders: headers.map(({ name, prefix }) => ({ name, valuePrefix: prefix })),
    fromParams: [...params],
    fromCookies: [...rule.cookies],
    payloadInMetadata: JWT_PAYLOAD,
    normalizePayloadInMetadata: { spaceDelimitedClaims: [...rule.spaceDelimitedClaims] },
    claimToHeaders: rule.claimHeaders.map(({ header, claim }) => ({
      headerName: header,
      claimName: claim,
    })),
    requireExpiration: rule.requiresExpiration,
    jwtCacheConfig: { jwtCacheSize: kept },
    clearRouteCache: settings.findsRouteAnew,
  });
}

function keysSpecifier(keys: TokenKeys, keySets: KeySets) {
  const text =
    keys.from === 'text'
      ? keys.text
      : keys.from === 'source'
        ? keySets.get(keys.source)
        : undefined;
  if (text === undefined) return NO_KEYS;
  const specifier = { case: 'inlineString', value: text } as const;
  return { case: 'localJwks', value: { specifier } } as const;
}

const MISSING = create(JwtRequirementSchema, {
  requiresType: { case: 'allowMissing', value: {} },
});

const MISSING_OR_FAILED = create(JwtRequirementSchema, {
  requiresType: { case: 'allowMissingOrFailed', value: {} },
});

function byProvider(name: string): JwtRequirement {
  return create(JwtRequirementSchema, { requiresType: { case: 'providerName', value: name } });
}

function anyOf(requirements: readonly JwtRequirement[]): JwtRequirement {
  const [only, ...more] = requirements;
  if (only !== undefined && more.length === 0) return only;
  return create(JwtRequirementSchema, {
    requiresType: { case: 'requiresAny', value: { requirements: [...requirements] } },
  });
}

function allOf(requirements: readonly JwtRequirement[]): JwtRequirement {
  return create(JwtRequirementSchema, {
    requiresType: { case: 'requiresAll', value: { requirements: [...requirements] } },
  });
}
