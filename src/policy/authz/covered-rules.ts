import type { Clause, CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { clauseCovers } from '#policy/authz/covers.ts';

/** A rule that changes nothing, as another one matches all that it matches. */
export interface CoveredRule {
  readonly index: number;
  /** The place of the other one in the same policy. */
  readonly by: number;
}

/** Each rule is compared with each: of policies with more rules nothing is told. */
const RULES_MAX = 100;

const known = new WeakMap<CompiledPolicy, readonly CoveredRule[]>();

/**
 * The rules of a policy that others of it leave nothing to decide, on requests and on plain
 * connections. Only what can be proved: one that is not among them may be of no use all the same.
 */
export function coveredRules(policy: CompiledPolicy): readonly CoveredRule[] {
  let found = known.get(policy);
  if (!found) {
    found = policy.http.length > RULES_MAX ? [] : findCovered(policy);
    known.set(policy, found);
  }
  return found;
}

function findCovered({ http, tcp }: CompiledPolicy): readonly CoveredRule[] {
  const plain = new Map(tcp.map((rule) => [rule.index, rule]));
  const isCovered = (narrow: CompiledRule, wide: CompiledRule): boolean => {
    if (!ruleCovers(wide, narrow)) return false;
    const [left, other] = [plain.get(narrow.index), plain.get(wide.index)];
    return left === undefined || (other !== undefined && ruleCovers(other, left));
  };
  return http.flatMap((rule) => {
    const by = http.find((other) => {
      if (other === rule || !isCovered(rule, other)) return false;
      // Of two that mean the same the later one is told.
      return other.index < rule.index || !isCovered(other, rule);
    });
    return by ? [{ index: rule.index, by: by.index }] : [];
  });
}

function ruleCovers(wide: CompiledRule, narrow: CompiledRule): boolean {
  return halfCovers(wide.sources, narrow.sources) && halfCovers(wide.operations, narrow.operations);
}

function halfCovers(
  wide: readonly Clause<Condition>[],
  narrow: readonly Clause<Condition>[],
): boolean {
  return narrow.every((clause) => wide.some((one) => clauseCovers(one, clause)));
}
