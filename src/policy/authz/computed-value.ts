import type { Expression } from '#mixer/expression.ts';
import { interpreted } from '#mixer/interpret.ts';
import { parseExpression } from '#mixer/parse.ts';
import { type RequestFacts, requestAttributes } from '#mixer/request-attributes.ts';
import type { Condition } from '#policy/authz/condition.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';

/** A condition about the value of an expression. */
export type ComputedCondition = Condition & { readonly on: 'computed' };

const expressions = new WeakMap<ComputedCondition, Expression | undefined>();

/** The value of the expression for a request, as text; undefined when it has none. */
export function computedValue(condition: ComputedCondition, facts: AuthzFacts): string | undefined {
  const expression = expressionOf(condition);
  const value = expression && interpreted(expression, requestAttributes(factsOfRequest(facts)));
  return value === undefined ? undefined : String(value);
}

function expressionOf(condition: ComputedCondition): Expression | undefined {
  if (!expressions.has(condition)) {
    const parsed = parseExpression(condition.expression);
    expressions.set(condition, 'expression' in parsed ? parsed.expression : undefined);
  }
  return expressions.get(condition);
}

function factsOfRequest(facts: AuthzFacts): RequestFacts {
  const header = (name: string): string | undefined => {
    const values = facts.header(name);
    return values.length === 0 ? undefined : values.join(',');
  };
  return { ...facts, target: header(':path') ?? facts.path, header };
}
