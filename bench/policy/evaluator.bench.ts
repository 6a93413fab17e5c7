// What a decision of the evaluator costs under five thousand rules, against fifty: half of the
// requests are allowed, each by another rule.
import { evaluate } from '#policy/authz/evaluate.ts';
import { authorizationOf } from '../../test/kit/authorization-policy.ts';
import type { BenchResult } from '../bench-result.ts';
import { manyAgainstFew } from '../many-few.ts';
import { rulePolicies, ruleRequests } from './authz-rules.ts';

const MANY = 5000;
const FEW = 50;
const REQUESTS = 100;
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

/** A decision under many rules, against one under few. */
export async function bench(): Promise<BenchResult> {
  return manyAgainstFew({
    name: 'evaluator',
    many: { count: MANY, measure: measured(MANY) },
    few: { count: FEW, measure: measured(FEW) },
    label: (count) => `a decision under ${count} rules`,
    goal: GOAL,
  });
}
