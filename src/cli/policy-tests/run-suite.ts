import { isBulwarkError } from '#base/errors.ts';
import type { CallSpelling } from '#cli/calls/call-spelling.ts';
import { callText, verdictText } from '#cli/calls/decision-text.ts';
import { readCall } from '#cli/calls/read-call.ts';
import type { MeshRead, WrittenAt } from '#cli/mesh/read-mesh.ts';
import type { LiveAnswer, LiveCallers } from '#cli/policy-tests/live-callers.ts';
import type { TestCase, TestSuite } from '#cli/policy-tests/read-suite.ts';
import type { Decider, EnforcedRule } from '#policy/decide/decider.ts';
import type { Decision } from '#policy/decide/decision.ts';

/** What came of one case. */
export interface CaseResult {
  readonly test: TestCase;
  /** One text for each call that is not as expected; none = the case passed. */
  readonly failures: readonly string[];
  /** Why calls were not tried; none = all of them were. */
  readonly skipped: readonly string[];
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

/** What the cases of a suite are tried against. */
export interface SuiteWorld {
  readonly mesh: MeshRead;
  readonly decider: Decider;
  /** By which tokens expire, wall-clock milliseconds. */
  readonly nowMs: number;
  /** Sends real requests; undefined = policies are asked. */
  readonly live: Pick<LiveCallers, 'send'> | undefined;
}

/** Runs the cases of a suite. */
export async function runSuite(suite: TestSuite, world: SuiteWorld): Promise<SuiteResult> {
  const exercised = new Set<string>();
  const cases: CaseResult[] = [];
  for (const test of suite.cases) {
    const failures = new Set<string>();
    const skipped = new Set<string>();
    for (const spelling of test.calls) {
      for (const outcome of await outcomesOf(spelling, test, suite, world)) {
        for (const { name } of outcome.matched) exercised.add(name);
        if (outcome.failure !== undefined) failures.add(outcome.failure);
        if (outcome.skipped !== undefined) skipped.add(outcome.skipped);
      }
    }
    cases.push({ test, failures: [...failures], skipped: [...skipped] });
  }
  const rules = world.decider.rules().map((rule) => {
    return { ...rule, place: world.mesh.placeOf(rule.object, rule.field) };
  });
  return { file: suite.file, cases, rules, exercised };
}

/** What came of one call at one workload. */
interface Outcome {
  readonly matched: Decision['matched'];
  readonly failure?: string | undefined;
  readonly skipped?: string | undefined;
}

async function outcomesOf(
  spelling: CallSpelling,
  test: TestCase,
  suite: TestSuite,
  { mesh, decider, nowMs, live }: SuiteWorld,
): Promise<readonly Outcome[]> {
  try {
    const { calls } = readCall(spelling, mesh.snapshot, suite.namespace ?? 'default');
    const outcomes: Outcome[] = [];
    // A real request goes to whichever workload its proxy chooses.
    for (const given of live ? calls.slice(0, 1) : calls) {
      const followed = decider.follow(given, nowMs);
      for (const { call, decision } of live ? followed.slice(0, 1) : followed) {
        const { matched } = decision;
        const answer = live ? await live.send(call) : undefined;
        const what = callText(call);
        if (answer !== undefined && 'skipped' in answer) {
          outcomes.push({ matched: [], skipped: `${what}: ${answer.skipped}` });
          continue;
        }
        const wrong = answer ? liveDifference(test, answer, decision) : difference(test, decision);
        outcomes.push({ matched, failure: wrong === undefined ? undefined : `${what}: ${wrong}` });
      }
    }
    return outcomes;
  } catch (error) {
    if (!isBulwarkError(error, 'CLI_USAGE')) throw error;
    const remedy = error.remedy === undefined ? '' : ` (${error.remedy})`;
    return [{ matched: [], failure: `${error.message}${remedy}` }];
  }
}

/** Why a real answer is not the one that is expected; undefined when it is. */
function liveDifference(
  { expect }: TestCase,
  { decision, saw }: Extract<LiveAnswer, { saw: string }>,
  expected: Decision,
): string | undefined {
  if (decision === expect) return undefined;
  return `expected ${expect}, got ${decision} (${saw}); policies say ${verdictText(expected)}`;
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
