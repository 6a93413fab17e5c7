import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expressionOf } from '#policy/expression.ts';

const CASES: readonly (readonly [re2: string, matches: string, not: string])[] = [
  ['a.c', 'abc', 'abcd'],
  ['(?i)abc', 'aBC', 'abd'],
  ['(?is)a.c', 'A\nC', 'A\nD'],
  ['(?U)a+', 'aaa', 'b'],
  ['(?P<name>a|b)c', 'bc', 'bb'],
  ['\\Aab\\z', 'ab', 'Aabz'],
  ['\\\\Ab', '\\Ab', 'b'],
  ['\\pLx', 'éx', '1x'],
  ['\\p{^Lu}', 'a', 'A'],
  ['\\P{Greek}', 'a', 'α'],
];

for (const [re2, matches, not] of CASES)
  test(`${re2} is for ${JSON.stringify(matches)} and not for ${JSON.stringify(not)}`, () => {
    assert.equal(expressionOf(re2, { isWhole: true }).test(matches), true);
    assert.equal(expressionOf(re2, { isWhole: true }).test(not), false);
  });

test('a part of a text is replaced wherever it is', () => {
  assert.equal('a1b22'.replace(expressionOf('[0-9]+', { isWhole: false }), '-'), 'a-b-');
});
