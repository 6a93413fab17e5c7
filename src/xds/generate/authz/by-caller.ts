import { create } from '@bufbuild/protobuf';
import {
  type ExtensionWithMatcher,
  ExtensionWithMatcherSchema,
} from '#gen/envoy-api/envoy/extensions/common/matching/v3/extension_matcher_pb.js';
import {
  CompositeSchema,
  ExecuteFilterActionSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/composite/v3/composite_pb.js';
import {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import {
  type Matcher,
  type Matcher_MatcherTree,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from '#gen/envoy-api/xds/type/matcher/v3/matcher_pb.js';
import { type RulesByCaller, rulesByCaller } from '#policy/authz/rules-by-caller.ts';
import type { RuleSet } from '#policy/authz/selection.ts';
import {
  choice,
  IDENTITY_INPUT,
  nested,
  withCertificate,
} from '#xds/generate/authz/caller-look-up.ts';
import { pack } from '#xds/generate/proto-values.ts';

/** Where there are so many rules that trying all of them costs. */
export interface CallerMeaning {
  readonly largeFrom: number;
  /** The names of the trust domain. */
  readonly trustDomains: readonly string[];
}

/**
 * The filter that tries of many rules only those that may match the caller: it looks its identity
 * up, and hands over to an ordinary filter of these rules, with their own names. Callers that are
 * in no list, and certificates with several names, meet all rules. Undefined where that is of no
 * use.
 * @param build the filter for some of the rules
 */
export function filterByCaller(
  set: RuleSet,
  { largeFrom, trustDomains }: CallerMeaning,
  build: (set: RuleSet) => HttpRbac,
): ExtensionWithMatcher | undefined {
  const { enforced = [], dryRun } = set;
  if (enforced.length < largeFrom || dryRun !== undefined) return undefined;
  const lists = rulesByCaller(enforced, trustDomains);
  if (lists === undefined) return undefined;
  const { identities, namespaces } = lists;
  const everything = handOver(build(set));
  const leaves = (some: RulesByCaller['identities']) =>
    Object.fromEntries(
      [...some].map(([key, rules]) => [key, handOver(build({ ...set, enforced: rules }))]),
    );
  const byNamespace = lookUp('prefixMatchMap', leaves(namespaces), everything);
  const byIdentity = lookUp('exactMatchMap', leaves(identities), byNamespace);
  return create(ExtensionWithMatcherSchema, {
    extensionConfig: { name: 'composite', typedConfig: pack(CompositeSchema, {}) },
    xdsMatcher: ofOneName(byIdentity, everything),
  });
}

function lookUp(
  how: 'exactMatchMap' | 'prefixMatchMap',
  map: { readonly [key: string]: Matcher_OnMatch },
  otherwise: Matcher_OnMatch,
): Matcher_OnMatch {
  // Envoy refuses an empty map.
  if (Object.keys(map).length === 0) return otherwise;
  const treeType = { case: how, value: { map } } as Matcher_MatcherTree['treeType'];
  return nested(
    create(MatcherSchema, {
      matcherType: { case: 'matcherTree', value: { input: IDENTITY_INPUT, treeType } },
      onNoMatch: otherwise,
    }),
  );
}

/** `found` for certificates with one name, and `otherwise` for others and where there is none. */
function ofOneName(found: Matcher_OnMatch, otherwise: Matcher_OnMatch): Matcher {
  const several = { matchPattern: { case: 'contains', value: ',' } } as const;
  const oneName = choice(IDENTITY_INPUT, several, otherwise, found);
  return withCertificate(nested(oneName), otherwise);
}

function handOver(filter: HttpRbac): Matcher_OnMatch {
  const typedConfig = pack(ExecuteFilterActionSchema, {
    typedConfig: { name: 'rbac', typedConfig: pack(HttpRbacSchema, filter) },
  });
  return create(Matcher_OnMatchSchema, {
    onMatch: { case: 'action', value: { name: 'rules', typedConfig } },
  });
}
