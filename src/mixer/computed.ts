import type { Expression, Value } from '#mixer/expression.ts';
import { parseExpression } from '#mixer/parse.ts';
import { printed } from '#mixer/print.ts';
import { COMPUTED, type Facts, isReference, type Reference } from '#mixer/reference.ts';

/**
 * The value of an expression as an attribute that the agent beside the proxy works out for a
 * request, from what the proxy tells it; undefined when it cannot. What is known of the workload is
 * put in its place.
 */
export function computedReference(expression: Expression, facts: Facts): Reference | undefined {
  const own = bound(expression, facts);
  if (own === undefined) return undefined;
  const key = printed(own);
  // With more parentheses than it was written with, it may be too deep to be read.
  if ('problem' in parseExpression(key)) return undefined;
  return { attribute: COMPUTED, key, asked: 'pattern', type: 'STRING' };
}

/** The expression of a value, which is a text when it is known. */
export function expressionOf(value: Value | Reference): Expression {
  const column = 1;
  if (!isReference(value)) return { kind: 'literal', type: 'STRING', value: String(value), column };
  const { attribute, key } = value;
  if (attribute === COMPUTED) {
    const parsed = parseExpression(key ?? '');
    if ('expression' in parsed) return parsed.expression;
  }
  const whole: Expression = { kind: 'attribute', name: attribute, column };
  if (key === undefined) return whole;
  const entry: Expression = { kind: 'literal', type: 'STRING', value: key, column };
  return { kind: 'call', name: '[]', args: [whole, entry], column };
}

function bound(expression: Expression, facts: Facts): Expression | undefined {
  if (expression.kind === 'literal') return expression;
  if (expression.kind === 'attribute') return boundAttribute(expression, facts);
  const { name, args, column } = expression;
  // Regular expressions are for Envoy.
  if (name === 'matches') return undefined;
  const [map, key] = args;
  if (name === '[]' && map?.kind === 'attribute' && key?.kind === 'literal') {
    const fact = facts(map.name);
    if (typeof fact === 'object' && 'known' in fact && fact.known instanceof Map) {
      const value: unknown = fact.known.get(String(key.value));
      // The agent knows nothing of the workload: left as it is, the entry is absent.
      return typeof value === 'string'
        ? { kind: 'literal', type: 'STRING', value, column }
        : expression;
    }
  }
  // The proxy tells headers by the names that are written.
  if (name === '[]' && key?.kind !== 'literal') return undefined;
  const own = args.map((arg) => bound(arg, facts));
  if (own.includes(undefined)) return undefined;
  return { ...expression, args: own.filter((arg) => arg !== undefined) };
}

function boundAttribute(
  attribute: Expression & { readonly kind: 'attribute' },
  facts: Facts,
): Expression | undefined {
  const fact = facts(attribute.name);
  if (fact === 'nobody') return undefined;
  if ('asked' in fact) return fact.isTold ? attribute : undefined;
  const { known: value } = fact;
  const { column } = attribute;
  switch (typeof value) {
    case 'undefined':
      return attribute;
    case 'string':
      return { kind: 'literal', type: 'STRING', value, column };
    case 'boolean':
      return { kind: 'literal', type: 'BOOL', value, column };
    default:
      return undefined;
  }
}
