// What a decision of the evaluator costs under five thousand rules, against fifty: half of the
// requests are allowed, each by another rule.
import { evaluate } from '#policy/authz/evaluate.ts';
import { authorizationOf } from '../../test/kit/authorization-policy.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';
import { rulePolicies, ruleRequests } from './authz-rules.ts';

const MANY = 5000;
const FEW = 50;
const REQUESTS = 100;
const SLICES = 200;
const ROUNDS = 9;
const GOAL = 1.5;

/** Asks about the same requests once; gives nanoseconds for one decision. */
function measured(rules: number): () => number {
  const authorization = authorizationOf(rulePolicies(rules), 'strict');
  const requests = ruleRequests(rules, REQUESTS);
  return () => {
    const startMs = performance.now();
    for (const { request, isAllowed } of requests) {
      const { decision } = evaluate(authorization, request, 'strict');
      if ((decision === 'allow') !== isAllowed) throw new Error(`${decision} is wrong`);
    }
    return ((performance.now() - startMs) / REQUESTS) * 1e6;
  };
}

/** Both sides take turns in short slices; of each the one that was disturbed least counts. */
function oneRound(many: () => number, few: () => number) {
  const slices = Array.from({ length: SLICES }, () => ({ many: many(), few: few() }));
  return {
    many: Math.min(...slices.map((slice) => slice.many)),
    few: Math.min(...slices.map((slice) => slice.few)),
  };
}

/** A decision under many rules, against one under few. */
export async function bench(): Promise<BenchResult> {
  const [many, few] = [measured(MANY), measured(FEW)];
  oneRound(many, few);
  const rounds = Array.from({ length: ROUNDS }, () => oneRound(many, few));
  const ratios = rounds.map((round) => round.many / round.few);
  const side = (rules: number, values: readonly number[]) => ({
    label: `a decision under ${rules} rules`,
    value: median(values),
    unit: 'ns',
  });
  return {
    name: 'evaluator',
    numerator: side(
      MANY,
      rounds.map((round) => round.many),
    ),
    denominator: side(
      FEW,
      rounds.map((round) => round.few),
    ),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
  };
}
