// What is printed is read as the same expression.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { someExpression } from '../../test/kit/mixer-arbitrary.ts';
import type { Expression } from './expression.ts';
import { parseExpression } from './parse.ts';
import { printed } from './print.ts';

function parsed(source: string): Expression {
  const result = parseExpression(source);
  assert.ok('expression' in result, source);
  return result.expression;
}

/** Without the places of its parts. */
function shape(expression: Expression): string {
  return JSON.stringify(expression, (key, value: unknown) => (key === 'column' ? 0 : value));
}

function staysAsItIs(source: string): void {
  const expression = parsed(source);
  assert.equal(shape(parsed(printed(expression))), shape(expression), source);
}

it('an expression is printed so that it is read again', () => {
  fc.assert(fc.property(someExpression, staysAsItIs), { numRuns: 500 });
  for (const source of [
    'a.b["k"] | (c && d)',
    '!(a || b) && !c',
    '"x\\n\\"y\\u0001é😀" == a.b',
    'a < -5 && b >= 1.0 && c == 2.5e10',
    '(a | b)["k"].startsWith("x")',
    'conditional(a, emptyStringMap(), b)["x"] == "y"',
    'a == (b == c)',
    '"^a$".matches(a.b)',
  ])
    staysAsItIs(source);
});

it('a long chain needs no depth', () => {
  staysAsItIs(Array.from({ length: 100 }, (_, at) => `a.b == "${at}"`).join(' || '));
});
