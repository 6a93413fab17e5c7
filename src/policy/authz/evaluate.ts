import {
  type HardeningProfile,
  type PathNormalization,
  PROFILE_PATHS,
} from '#model/mesh-settings.ts';
import type { Clause, CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { conditionHolds } from '#policy/authz/condition-test.ts';
import { type AuthzFacts, type AuthzRequest, factsOf } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';

/** An ALLOW rule that did not match, and the fields of its policy that kept it from matching. */
export interface NearMiss {
  readonly rule: CompiledRule;
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
 * the first by name. Pure and total. The profile is the one that the authorization was compiled
 * for, `paths` what the mesh says, if it is not the profile's own.
 */
export function evaluate(
  authorization: WorkloadAuthorization,
  request: AuthzRequest,
  profile: HardeningProfile,
  paths: PathNormalization = PROFILE_PATHS[profile],
): AuthzDecision {
  const facts = factsOf(request, paths);
  if (facts === undefined) return { decision: 'deny', because: 'the request is malformed' };
  const { deny, allow } = request.http === undefined ? authorization.tcp : authorization.http;
  const denying = deny.enforced?.find((rule) => ruleMatches(rule, facts));
  if (denying !== undefined) return { decision: 'deny', because: 'a rule denies', rule: denying };
  if (allow.enforced === undefined)
    return { decision: 'allow', because: 'no ALLOW policy selects the workload' };
  const allowing = allow.enforced.find((rule) => ruleMatches(rule, facts));
  if (allowing !== undefined)
    return { decision: 'allow', because: 'an ALLOW rule matches', rule: allowing };
  return {
    decision: 'deny',
    because: 'no ALLOW rule matches',
    policies: authorization.policies.filter(({ action, dryRun }) => action === 'ALLOW' && !dryRun),
    nearest: nearest(allow.enforced, facts),
  };
}

function ruleMatches({ sources, operations }: CompiledRule, facts: AuthzFacts): boolean {
  const matches = (clause: Clause<Condition>) =>
    clause.every((condition) => conditionHolds(condition, facts));
  return operations.some(matches) && sources.some(matches);
}

function nearest(rules: readonly CompiledRule[], facts: AuthzFacts): NearMiss[] {
  return rules
    .filter(({ sources, operations }) => sources.length > 0 && operations.length > 0)
    .map((rule) => ({
      rule,
      failedFields: [...fewestFailed(rule.sources, facts), ...fewestFailed(rule.operations, facts)],
    }))
    .sort((a, b) => a.failedFields.length - b.failedFields.length)
    .slice(0, NEAREST_MAX);
}

/** The failed fields of the clause that fails in the fewest. */
function fewestFailed(clauses: readonly Clause<Condition>[], facts: AuthzFacts): readonly string[] {
  const failed = clauses.map((clause) =>
    clause
      .filter((condition) => !conditionHolds(condition, facts))
      .map((condition) => failedField(condition, facts)),
  );
  return failed.reduce(
    (best, fields) => (fields.length < best.length ? fields : best),
    failed[0] ?? [],
  );
}

/** The half of a condition that failed: its values, or those it excludes. */
function failedField(condition: Condition, facts: AuthzFacts): string {
  const withoutNot: Condition = { ...condition, notValues: [] };
  return conditionHolds(withoutNot, facts) ? condition.notField : condition.field;
}
