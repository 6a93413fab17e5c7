import type { Expression, ExpressionProblem } from '#mixer/expression.ts';
import { ALWAYS, type Formula, FormulaBuilder } from '#mixer/formula.ts';
import { Reader } from '#mixer/reader.ts';
import type { Facts, List } from '#mixer/reference.ts';

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
    if (reader.isOverflown) tooLarge(part, problems);
    const both = builder.and(when, reader.isOverflown ? ALWAYS : yes);
    // What was joined so far covers the whole.
    if (builder.isOverflown) {
      tooLarge(part, problems);
      return { when, problems };
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
  if (isOverflown) tooLarge(expression, problems);
  return { when: isOverflown ? ALWAYS : when, problems };
}

/** What must all hold for the expression to hold. */
export function conjunctsOf(expression: Expression): readonly Expression[] {
  if (expression.kind !== 'call' || expression.name !== '&&') return [expression];
  return expression.args.flatMap(conjunctsOf);
}

function tooLarge({ column }: Expression, problems: ExpressionProblem[]): void {
  problems.push({ column, message: 'the expression has too many alternatives for Envoy' });
}
