// Expressions that JavaScript takes and Envoy was seen to refuse, and those that it was seen to
// take.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { regexProblem } from '#api/regex.ts';

const REFUSED = {
  'a{1001}': /more than 1000 times/,
  '(((a{10}){10}){10}){10}': /more than 1000 times/,
  [`(${'a'.repeat(50)}){700}`]: /smaller/,
  '\\u0041': /no \\u/,
  '\\y': /no \\y/,
  '\\h': /no \\h/,
  '\\cA': /no \\c/,
  '\\8': /no back-references|no \\8/,
  '\\p': /no \\p/,
  '\\p{Nothing}': /no \\p/,
  '\\Qa\\E': /no \\Q/,
  '[\\b]': /no \\b like this in a set/,
  '[]': /in a set/,
  '[^]': /in a set/,
  '(?=a)': /look-around/,
  'a**': /regular expression/,
} as const;
const TAKEN = [
  'a{1000}',
  '((a{10}){10}){10}',
  'a{,5}',
  '\\pL'.repeat(100),
  '.'.repeat(1000),
  '[^a]'.repeat(250),
  `(?i)${'abcdefghij'.repeat(100)}`,
  '(?P<x>a)',
  '[[:alpha:]]+',
  '\\x{41}',
  '\\d\\w\\s\\b',
  '(?i:a)',
  'a+?',
  '^/v[0-9]{1,3}/[^/]+\\.(css|js)$',
  '[\\]\\-\\d]',
] as const;

for (const [expression, problem] of Object.entries(REFUSED)) {
  it(`${expression.slice(0, 40)} is refused`, () =>
    assert.match(regexProblem(expression) ?? '', problem));
}
for (const expression of TAKEN) {
  it(`${expression.slice(0, 40)} is taken`, () =>
    assert.equal(regexProblem(expression), undefined));
}
