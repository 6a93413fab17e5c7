// What a decision of the evaluator costs under a thousand rules, against casbin, an engine of rules
// for Node, with the same rules and requests.
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';
import { evaluate } from '#policy/authz/evaluate.ts';
import { authorizationOf } from '../../test/kit/authorization-policy.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';
import { rulePolicies, ruleRequests } from './authz-rules.ts';

const RULES = 1000;
const REQUESTS = 20;
/** Ours takes so little that the same requests are asked about again and again. */
const REPEATS = 2000;
const ROUNDS = 5;
/** Five hundred times as fast. */
const GOAL = 1 / 500;

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && keyMatch(r.obj, p.obj) && r.act == p.act
`;

const requests = ruleRequests(RULES, REQUESTS);

function assertRight(isAllowed: boolean, wanted: boolean): void {
  if (isAllowed !== wanted) throw new Error('a decision is wrong');
}

/** Nanoseconds for a decision of ours. */
function ours(): () => number {
  const authorization = authorizationOf(rulePolicies(RULES), 'strict');
  return () => {
    const startMs = performance.now();
    for (let repeat = 0; repeat < REPEATS; repeat += 1)
      for (const { request, isAllowed } of requests)
        assertRight(evaluate(authorization, request, 'strict').decision === 'allow', isAllowed);
    return ((performance.now() - startMs) / (REPEATS * REQUESTS)) * 1e6;
  };
}

/** The same of casbin, by its quickest way to ask. */
async function theirs(): Promise<() => number> {
  const lines = rulePolicies(RULES).flatMap(({ spec }) =>
    (spec?.rules ?? []).flatMap(({ from = [], to = [] }) => {
      const [caller] = from[0]?.source?.principals ?? [];
      const { methods = [], paths = [] } = to[0]?.operation ?? {};
      return paths.map((path) => `p, ${caller}, ${path}, ${methods[0]}`);
    }),
  );
  const enforcer = await newEnforcer(
    newModelFromString(MODEL),
    new StringAdapter(lines.join('\n')),
  );
  return () => {
    const startMs = performance.now();
    for (const { caller, path, method, isAllowed } of requests)
      assertRight(enforcer.enforceSync(caller, path, method), isAllowed);
    return ((performance.now() - startMs) / REQUESTS) * 1e6;
  };
}

/** Our decision, against casbin's. */
export async function bench(): Promise<BenchResult> {
  const [our, their] = [ours(), await theirs()];
  our();
  their();
  const rounds = Array.from({ length: ROUNDS }, () => ({ our: our(), their: their() }));
  const ratios = rounds.map((round) => round.our / round.their);
  const side = (label: string, values: readonly number[]) => ({
    label: `${label}, a decision under ${RULES} rules`,
    value: median(values),
    unit: 'ns',
  });
  const ratio = median(ratios);
  return {
    name: 'casbin',
    numerator: side(
      'evaluator',
      rounds.map((round) => round.our),
    ),
    denominator: side(
      'casbin',
      rounds.map((round) => round.their),
    ),
    ratio,
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
    note: `${Math.round(1 / ratio)} times as fast; each rule has two paths, so casbin has 2000 lines`,
  };
}
