import type { Expression } from '#mixer/expression.ts';

/** Operators between their arguments. */
const INFIX: ReadonlySet<string> = new Set(
  ['&&', '||', '|', '==', '!=', '<', '<=', '>', '>=', '+'].values(),
);

/** An expression as text, from which the same expression is read. */
export function printed(expression: Expression): string {
  if (expression.kind === 'attribute') return expression.name;
  if (expression.kind === 'literal') return printedLiteral(expression);
  const { name, args } = expression;
  const [first, second] = args;
  if (first !== undefined && second !== undefined) {
    if (INFIX.has(name)) {
      // Operators are read from the left: a chain of one operator needs no parentheses.
      const isChain = first.kind === 'call' && first.name === name;
      return `${isChain ? printed(first) : operand(first)} ${name} ${operand(second)}`;
    }
    if (name === '[]') return `${operand(first)}[${printed(second)}]`;
  }
  if (name === '!' && first !== undefined) return `!${operand(first)}`;
  return `${name}(${args.map(printed).join(', ')})`;
}

function printedLiteral({ type, value }: Expression & { readonly kind: 'literal' }): string {
  if (type === 'STRING') return JSON.stringify(value);
  const text = String(value);
  return type === 'DOUBLE' && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function operand(expression: Expression): string {
  const isPlain =
    expression.kind !== 'call' || !(INFIX.has(expression.name) || expression.name === '!');
  return isPlain ? printed(expression) : `(${printed(expression)})`;
}
