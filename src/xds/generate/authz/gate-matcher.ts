import { create } from '@bufbuild/protobuf';
import { StringValueSchema } from '@bufbuild/protobuf/wkt';
import { FilterStateInputSchema } from '#gen/envoy-api/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js';
import type { StringMatcher } from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import {
  type Matcher,
  type Matcher_MatcherList_Predicate,
  Matcher_MatcherList_PredicateSchema,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from '#gen/envoy-api/xds/type/matcher/v3/matcher_pb.js';
import {
  type StringMatcher as XdsStringMatcher,
  StringMatcherSchema as XdsStringMatcherSchema,
} from '#gen/envoy-api/xds/type/matcher/v3/string_pb.js';
import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { PeerCondition, PeerTest, PeerVerdict } from '#policy/authz/peer-verdict.ts';
import { SEVERAL_NAMES, SEVERAL_NAMES_HAVE } from '#xds/generate/authz/caller-look-up.ts';
import { peerMatchers } from '#xds/generate/authz/principal.ts';
import { pack } from '#xds/generate/proto-values.ts';

type Predicate = Matcher_MatcherList_Predicate;

/** Where a connection keeps the identity of its caller on its way to a gate. */
export const GATE_PEER_KEY = 'bulwark.peer';

/** The chain of a gate that lets callers through. */
export const ALLOW_CHAIN = 'allow';

/** The chain of a gate that turns away those whom a rule denies, or whom none allows. */
export function denyChain(rule: CompiledRule | undefined): string {
  return `rbac_access_denied_matched_policy[${rule?.name ?? 'none'}]`;
}

/** The chain of a gate that turns away certificates with an identity and another name. */
export const SEVERAL_NAMES_CHAIN = `rbac_access_denied_matched_policy[${SEVERAL_NAMES}]`;

/** Chooses the chain of a gate by the identity of the caller. */
export function gateMatcher({ steps, othersPass }: PeerVerdict): Matcher {
  const all = steps.findIndex(({ test }) => test.some((clause) => clause.length === 0));
  const last = steps[all];
  const others = last ? chainOf(last.deniedBy) : othersPass ? ALLOW_CHAIN : denyChain(undefined);
  const tried = all < 0 ? steps : steps.slice(0, all);
  const matchers = tried.map(({ test, deniedBy }) => ({
    predicate: predicateOf(test),
    onMatch: towards(chainOf(deniedBy)),
  }));
  return create(MatcherSchema, {
    matcherType: { case: 'matcherList', value: { matchers: [HAS_SEVERAL_NAMES, ...matchers] } },
    onNoMatch: towards(others),
  });
}

function chainOf(deniedBy: CompiledRule | undefined): string {
  return deniedBy ? denyChain(deniedBy) : ALLOW_CHAIN;
}

function towards(chain: string): Matcher_OnMatch {
  const typedConfig = pack(StringValueSchema, { value: chain });
  return create(Matcher_OnMatchSchema, {
    onMatch: { case: 'action', value: { name: chain, typedConfig } },
  });
}

function predicateOf(test: PeerTest): Predicate {
  return combined(
    'orMatcher',
    test.map((clause: Clause<PeerCondition>) =>
      combined('andMatcher', clause.flatMap(conditionPredicates)),
    ),
  );
}

function conditionPredicates(condition: PeerCondition): Predicate[] {
  const { values, notValues } = peerMatchers(condition);
  return [
    ...(values.length === 0 ? [] : [combined('orMatcher', values.map(single))]),
    ...(notValues.length === 0 ? [] : [not(combined('orMatcher', notValues.map(single)))]),
  ];
}

/** Envoy refuses a set of one. */
function combined(how: 'orMatcher' | 'andMatcher', predicates: Predicate[]): Predicate {
  const [only] = predicates;
  if (only && predicates.length === 1) return only;
  return create(Matcher_MatcherList_PredicateSchema, {
    matchType: { case: how, value: { predicate: predicates } },
  });
}

function not(predicate: Predicate): Predicate {
  return create(Matcher_MatcherList_PredicateSchema, {
    matchType: { case: 'notMatcher', value: predicate },
  });
}

function single(matcher: StringMatcher): Predicate {
  return peerHas(xdsMatcher(matcher));
}

function peerHas(value: XdsStringMatcher): Predicate {
  return create(Matcher_MatcherList_PredicateSchema, {
    matchType: {
      case: 'singlePredicate',
      value: {
        input: {
          name: FilterStateInputSchema.typeName,
          typedConfig: pack(FilterStateInputSchema, { key: GATE_PEER_KEY }),
        },
        matcher: { case: 'valueMatch', value },
      },
    },
  });
}

/** The first to be tried: none of the names is known to be the caller's. */
const HAS_SEVERAL_NAMES = {
  predicate: combined(
    'andMatcher',
    SEVERAL_NAMES_HAVE.map((value) =>
      peerHas(create(XdsStringMatcherSchema, { matchPattern: { case: 'contains', value } })),
    ),
  ),
  onMatch: towards(SEVERAL_NAMES_CHAIN),
};

/** The same text matcher in the other family of messages. */
function xdsMatcher({ matchPattern }: StringMatcher): XdsStringMatcher {
  const { case: kind, value } = matchPattern;
  if (kind === 'safeRegex')
    return create(XdsStringMatcherSchema, {
      matchPattern: {
        case: 'safeRegex',
        value: { engineType: { case: 'googleRe2', value: {} }, regex: value.regex },
      },
    });
  const text = String(value ?? '');
  return create(XdsStringMatcherSchema, {
    matchPattern: { case: kind === 'prefix' ? 'prefix' : 'exact', value: text },
  });
}
