import type { Expression, Value } from '#mixer/expression.ts';
import { FUNCTIONS } from '#mixer/functions.ts';

/** The value of an attribute; undefined for one that is absent. */
export type Attributes = (name: string) => Value | undefined;

/**
 * The value of an expression, whose types were checked; undefined when it has none, as a part that
 * it needs is absent. Pure and total. Regular expressions have no value here: they are Envoy's.
 */
export function interpreted(expression: Expression, attributes: Attributes): Value | undefined {
  if (expression.kind === 'literal') return expression.value;
  if (expression.kind === 'attribute') return attributes(expression.name);
  const { name, args } = expression;
  const valueAt = (at: number): Value | undefined => {
    const arg = args[at];
    return arg === undefined ? undefined : interpreted(arg, attributes);
  };
  switch (name) {
    case '&&':
    case '||': {
      const first = valueAt(0);
      if (first === undefined) return undefined;
      return first === (name === '||') ? first : valueAt(1);
    }
    case '|':
      return valueAt(0) ?? valueAt(1);
    case 'conditional': {
      const condition = valueAt(0);
      return condition === undefined ? undefined : valueAt(condition === true ? 1 : 2);
    }
    case '[]': {
      const [map, key] = [valueAt(0), valueAt(1)];
      return map instanceof Map && key !== undefined ? map.get(String(key)) : undefined;
    }
    case 'emptyStringMap':
      return new Map();
    default: {
      const values = args.map((_, at) => valueAt(at));
      const known = FUNCTIONS.get(name);
      if (known === undefined || values.includes(undefined)) return undefined;
      return known.apply(...values.filter((value) => value !== undefined));
    }
  }
}
