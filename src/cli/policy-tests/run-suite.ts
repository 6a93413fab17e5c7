import { isBulwarkError } from '#base/errors.ts';
import { callText, verdictText } from '#cli/calls/decision-text.ts';
import { readCall } from '#cli/calls/read-call.ts';
import type { MeshRead, WrittenAt } from '#cli/mesh/read-mesh.ts';
import type { TestCase, TestSuite } from '#cli/policy-tests/read-suite.ts';
import type { Decider, Decision, EnforcedRule } from '#policy/decide/decider.ts';

/** What came of one case. */
export interface CaseResult {
  readonly test: TestCase;
  /** One text for each call that is not as expected; none = the case passed. */
  readonly failures: readonly string[];
}

/** A rule, and where it is written. */
export interface WrittenRule extends EnforcedRule {
  readonly place: WrittenAt | undefined;
}

/** What came of a suite. */
export interface SuiteResult {
  readonly file: string;
  readonly cases: readonly CaseResult[];
  /** Enforced rules, by their names. */
  readonly rules: readonly WrittenRule[];
  /** Names of those that a call of a case met. */
  readonly exercised: ReadonlySet<string>;
}

/** Runs the cases of a suite against a mesh. `nowMs`: wall-clock milliseconds. */
export function runSuite(
  suite: TestSuite,
  mesh: MeshRead,
  decider: Decider,
  nowMs: number,
): SuiteResult {
  const exercised = new Set<string>();
  const cases = suite.cases.map((test): CaseResult => {
    const failures = test.calls.flatMap((spelling) => {
      const namespace = suite.namespace ?? 'default';
      try {
        const { calls } = readCall(spelling, mesh.snapshot, namespace);
        return calls.flatMap((call) => {
          const decision = decider.decide(call, nowMs);
          for (const { name } of decision.matched) exercised.add(name);
          const wrong = difference(test, decision);
          return wrong === undefined ? [] : [`${callText(call)}: ${wrong}`];
        });
      } catch (error) {
        if (!isBulwarkError(error, 'CLI_USAGE')) throw error;
        const remedy = error.remedy === undefined ? '' : ` (${error.remedy})`;
        return [`${error.message}${remedy}`];
      }
    });
    return { test, failures: [...new Set(failures)] };
  });
  const rules = decider.rules().map((rule) => {
    return { ...rule, place: mesh.placeOf(rule.object, rule.field) };
  });
  return { file: suite.file, cases, rules, exercised };
}

/** Why a decision is not the one that is expected; undefined when it is. */
function difference({ expect, because }: TestCase, decision: Decision): string | undefined {
  const { decidedBy, advice } = decision;
  if (decision.decision !== expect) {
    const help = advice === undefined ? '' : `; to allow it: ${advice}`;
    return `expected ${expect}, got ${verdictText(decision)}${help}`;
  }
  if (because === undefined) return undefined;
  const { layer, object } = decidedBy;
  if (because === layer || because === object?.name) return undefined;
  return `expected ${expect} because of ${because}, got ${verdictText(decision)}`;
}
