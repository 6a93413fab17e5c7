import { attributeNamed } from '#mixer/attributes.ts';
import { type DeclaredAttributes, typeOf } from '#mixer/check-types.ts';
import type { Expression, ExpressionProblem, ValueType } from '#mixer/expression.ts';
import { parseExpression } from '#mixer/parse.ts';
import { conjunctsOf, isListed, predicateOf } from '#mixer/predicate.ts';
import type { Fact } from '#mixer/reference.ts';

/** An expression with its type, or what is wrong with it. */
export type ReadExpression =
  | { readonly expression: Expression; readonly type: ValueType }
  | { readonly problem: ExpressionProblem; readonly undeclared?: string };

/** Reads an expression that is to have one of these types. */
export function readExpression(
  source: string,
  types: readonly ValueType[],
  declared: DeclaredAttributes = new Map(),
): ReadExpression {
  const parsed = parseExpression(source);
  if ('problem' in parsed) return parsed;
  const { expression } = parsed;
  const typed = typeOf(expression, declared);
  if ('problem' in typed) return typed;
  if (types.includes(typed.type)) return { expression, type: typed.type };
  const message = `the expression must be of type ${types.join(' or ')}, this is ${typed.type}`;
  return { problem: { column: expression.column, message } };
}

/** What can be read of a condition, and what is wrong with the rest. */
export interface ReadCondition {
  /** The parts that must all hold, without those that cannot be read. */
  readonly parts: readonly Expression[];
  readonly problems: readonly ExpressionProblem[];
}

/** Reads an expression of type BOOL; what is between its `&&` is read each for itself. */
export function readCondition(source: string, declared: DeclaredAttributes): ReadCondition {
  const parsed = parseExpression(source);
  if ('problem' in parsed) return { parts: [], problems: [parsed.problem] };
  const parts: Expression[] = [];
  const problems: ExpressionProblem[] = [];
  for (const part of conjunctsOf(parsed.expression)) {
    const typed = typeOf(part, declared);
    if ('problem' in typed) problems.push(typed.problem);
    else if (typed.type === 'BOOL') parts.push(part);
    else problems.push({ column: part.column, message: `this is ${typed.type}, and not BOOL` });
  }
  return { parts, problems };
}

/** What is known of an attribute, with what `ofWorkload` knows of the workload that is called. */
export function factOf(name: string, ofWorkload: (name: string) => Fact): Fact {
  const info = attributeNamed(name);
  if (info === undefined || info.known === 'report') return { known: undefined };
  if (info.known === 'nowhere') return 'nobody';
  if (info.known === 'workload') return ofWorkload(name);
  const { asked, type, isTold } = info;
  return { asked, type, isTold };
}

/** What Envoy cannot be asked of conditions that must all hold, whatever the workload. */
export function conditionProblems(parts: readonly Expression[]): readonly ExpressionProblem[] {
  return predicateOf(parts, someFacts).problems;
}

/** What Envoy cannot be asked of a value that is looked for in a list, whatever the workload. */
export function valueProblems(value: Expression): readonly ExpressionProblem[] {
  return isListed(value, { match: 'equals', values: [''], has: () => false }, someFacts).problems;
}

/** What is known of a workload has some value here. */
function someFacts(attribute: string): Fact {
  return factOf(attribute, (name) => ({ known: SOME[attributeNamed(name)?.type ?? ''] }));
}

const SOME: Readonly<Record<string, string | boolean | ReadonlyMap<string, string>>> = {
  STRING: '',
  BOOL: false,
  STRING_MAP: new Map(),
};
