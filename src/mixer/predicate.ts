import { computedReference } from '#mixer/computed.ts';
import type { Expression, ExpressionProblem } from '#mixer/expression.ts';
import { ALWAYS, type Formula, FormulaBuilder } from '#mixer/formula.ts';
import { Reader } from '#mixer/reader.ts';
import { equals, type Facts, type List } from '#mixer/reference.ts';

/** When an expression holds, and what of it could not be understood. */
export interface Predicate {
  readonly when: Formula;
  /** With any of these `when` holds wider than the expression. */
  readonly problems: readonly ExpressionProblem[];
}

/**
 * When boolean expressions, whose types were checked, are all true of a request. What is absent
 * makes all that asks for it neither true nor false, and the whole not true. Pure and total: what
 * cannot be told of a request counts as if it might hold.
 */
export function predicateOf(expressions: readonly Expression[], facts: Facts): Predicate {
  const problems: ExpressionProblem[] = [];
  const builder = new FormulaBuilder();
  let when = ALWAYS;
  for (const part of expressions.flatMap(conjunctsOf)) {
    const reader = new Reader(facts);
    const { yes } = reader.truth(part);
    problems.push(...reader.problems);
    const wanted = reader.isOverflown ? computedWhole(part, facts, problems) : yes;
    const both = builder.and(when, wanted);
    // What was joined so far covers the whole.
    if (builder.isOverflown) {
      return computedAll(expressions, facts) ?? { when, problems: [...problems, tooLarge(part)] };
    }
    when = both;
  }
  return { when, problems };
}

/** When the value of an expression is in a list; what is absent is not. */
export function isListed(expression: Expression, list: List, facts: Facts): Predicate {
  const reader = new Reader(facts);
  const when = reader.isListed(expression, list);
  const { problems, isOverflown } = reader;
  if (isOverflown) problems.push(tooLarge(expression));
  return { when: isOverflown ? ALWAYS : when, problems };
}

/** What must all hold for the expression to hold. */
export function conjunctsOf(expression: Expression): readonly Expression[] {
  if (expression.kind !== 'call' || expression.name !== '&&') return [expression];
  return expression.args.flatMap(conjunctsOf);
}

/** What has too many alternatives for Envoy is worked out by the agent, if it can. */
function computedWhole(part: Expression, facts: Facts, problems: ExpressionProblem[]): Formula {
  const reference = computedReference(part, facts);
  if (reference !== undefined) return equals(reference, true).yes;
  problems.push(tooLarge(part));
  return ALWAYS;
}

/** All of it at once; undefined when the agent cannot work it out. */
function computedAll(expressions: readonly Expression[], facts: Facts): Predicate | undefined {
  const [first, ...more] = expressions;
  if (first === undefined) return undefined;
  const whole = more.reduce<Expression>(
    (left, right) => ({ kind: 'call', name: '&&', args: [left, right], column: left.column }),
    first,
  );
  const reference = computedReference(whole, facts);
  return reference && { when: equals(reference, true).yes, problems: [] };
}

function tooLarge({ column }: Expression): ExpressionProblem {
  return { column, message: 'the expression has too many alternatives for Envoy' };
}
