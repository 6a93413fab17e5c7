import {
  type HardeningProfile,
  type PathNormalization,
  PROFILE_PATHS,
} from '#model/mesh-settings.ts';
import type { Clause, CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { conditionHolds } from '#policy/authz/condition-test.ts';
import { type AuthzFacts, type AuthzRequest, factsOf } from '#policy/authz/request.ts';
import { firstMatching } from '#policy/authz/rule-index.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';

/** A test of a policy that a request fails. */
export interface FailedTest {
  readonly condition: Condition;
  /** Whether it has a value that is excluded; else it has none of those that are asked for. */
  readonly isExcluded: boolean;
}

/** An ALLOW rule that did not match, and what kept it from matching. */
export interface NearMiss {
  readonly rule: CompiledRule;
  readonly failed: readonly FailedTest[];
  /** The fields of its policy that say so. */
  readonly failedFields: readonly string[];
}

/** A decision and what made it. */
export type AuthzDecision =
  | { readonly decision: 'allow'; readonly because: 'no ALLOW policy selects the workload' }
  | {
      readonly decision: 'allow';
      readonly because: 'an ALLOW rule matches';
      readonly rule: CompiledRule;
    }
  | { readonly decision: 'deny'; readonly because: 'a rule denies'; readonly rule: CompiledRule }
  | {
      readonly decision: 'deny';
      readonly because: 'no ALLOW rule matches';
      /** The policies of which one would have to allow it. */
      readonly policies: readonly CompiledPolicy[];
      /** The rules that come nearest, fewest failed fields first. */
      readonly nearest: readonly NearMiss[];
    }
  | { readonly decision: 'deny'; readonly because: 'the request is malformed' };

/** How many near misses a denial names. */
const NEAREST_MAX = 3;

/**
 * Decides as Envoy does under this authorization: DENY before ALLOW, of several rules that match
 * the first by name; as if every provider that is asked before them agreed. Pure and total. The
 * profile is the one that the authorization was compiled for, `paths` what the mesh says, if it is
 * not the profile's own.
 */
export function evaluate(
  authorization: WorkloadAuthorization,
  request: AuthzRequest,
  profile: HardeningProfile,
  paths: PathNormalization = PROFILE_PATHS[profile],
): AuthzDecision {
  const facts = factsOf(request, paths, profile);
  if (facts === undefined) return { decision: 'deny', because: 'the request is malformed' };
  const { deny, allow } = request.http === undefined ? authorization.tcp : authorization.http;
  const denying = deny.enforced && firstMatching(deny.enforced, facts);
  if (denying !== undefined) return { decision: 'deny', because: 'a rule denies', rule: denying };
  if (allow.enforced === undefined)
    return { decision: 'allow', because: 'no ALLOW policy selects the workload' };
  const allowing = firstMatching(allow.enforced, facts);
  if (allowing !== undefined)
    return { decision: 'allow', because: 'an ALLOW rule matches', rule: allowing };
  const { policies } = authorization;
  const { enforced } = allow;
  return {
    decision: 'deny',
    because: 'no ALLOW rule matches',
    // Looked for when somebody asks: a denial must not cost more the more rules there are.
    get policies() {
      return policies.filter(({ action, dryRun }) => action === 'ALLOW' && !dryRun);
    },
    get nearest() {
      return nearest(enforced, facts);
    },
  };
}

/**
 * What of a rule a request meets: the conditions of the first source and of the first operation
 * that hold; none of them when the rule is about every request. Undefined when it does not match.
 */
export function matchedConditions(
  { sources, operations }: CompiledRule,
  facts: AuthzFacts,
): readonly Condition[] | undefined {
  const operation = operations.find(holdsFor(facts));
  const source = sources.find(holdsFor(facts));
  return operation && source && [...source, ...operation];
}

function holdsFor(facts: AuthzFacts): (clause: Clause<Condition>) => boolean {
  return (clause) => clause.every((condition) => conditionHolds(condition, facts));
}

function nearest(rules: readonly CompiledRule[], facts: AuthzFacts): NearMiss[] {
  return rules
    .filter(({ sources, operations }) => sources.length > 0 && operations.length > 0)
    .map((rule): NearMiss => {
      const failed = [
        ...fewestFailed(rule.sources, facts),
        ...fewestFailed(rule.operations, facts),
      ];
      const failedFields = failed.map(({ condition, isExcluded }) =>
        isExcluded ? condition.notField : condition.field,
      );
      return { rule, failed, failedFields };
    })
    .sort((a, b) => a.failed.length - b.failed.length)
    .slice(0, NEAREST_MAX);
}

/** The failed tests of the clause that fails in the fewest. */
function fewestFailed(
  clauses: readonly Clause<Condition>[],
  facts: AuthzFacts,
): readonly FailedTest[] {
  const failed = clauses.map((clause) =>
    clause
      .filter((condition) => !conditionHolds(condition, facts))
      .map((condition) => failedTest(condition, facts)),
  );
  return failed.reduce(
    (best, tests) => (tests.length < best.length ? tests : best),
    failed[0] ?? [],
  );
}

/** Which half of a condition failed: its values, or those it excludes. */
function failedTest(condition: Condition, facts: AuthzFacts): FailedTest {
  const withoutNot: Condition = { ...condition, notValues: [] };
  return { condition, isExcluded: conditionHolds(withoutNot, facts) };
}
