/** The types of values in expressions (config.istio.io `ValueType`). */
export type ValueType =
  | 'STRING'
  | 'INT64'
  | 'DOUBLE'
  | 'BOOL'
  | 'TIMESTAMP'
  | 'IP_ADDRESS'
  | 'EMAIL_ADDRESS'
  | 'URI'
  | 'DNS_NAME'
  | 'DURATION'
  | 'STRING_MAP';

/**
 * A value: times in milliseconds since 1970, durations in milliseconds, addresses and names in one
 * spelling, maps from text to text.
 */
export type Value = string | number | boolean | ReadonlyMap<string, string>;

/**
 * A Mixer expression, read. Operators are calls by their sign: `==`, `&&`, `|`, `[]`; so are
 * methods, with what stands before the dot as the first argument.
 */
export type Expression =
  | {
      readonly kind: 'literal';
      readonly type: 'STRING' | 'INT64' | 'DOUBLE' | 'BOOL';
      readonly value: string | number | boolean;
      readonly column: number;
    }
  | { readonly kind: 'attribute'; readonly name: string; readonly column: number }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Expression[];
      readonly column: number;
    };

/** What is wrong with an expression. Columns count characters from 1. */
export interface ExpressionProblem {
  readonly column: number;
  readonly message: string;
}

/** The names of all attributes in an expression, each once. */
export function attributesOf(expression: Expression): readonly string[] {
  if (expression.kind === 'attribute') return [expression.name];
  if (expression.kind === 'literal') return [];
  return [...new Set(expression.args.flatMap(attributesOf))];
}

/** What a chain of `|` chooses from, in order. */
export function choicesOf(expression: Expression): readonly Expression[] {
  if (expression.kind !== 'call' || expression.name !== '|') return [expression];
  return expression.args.flatMap(choicesOf);
}
