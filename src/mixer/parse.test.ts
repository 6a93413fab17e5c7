import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Expression } from '#mixer/expression.ts';
import { parseExpression } from '#mixer/parse.ts';
import { readExpression } from '#mixer/read-expression.ts';

/** An expression with all its parentheses. */
function shown(expression: Expression): string {
  if (expression.kind === 'literal') return JSON.stringify(expression.value);
  if (expression.kind === 'attribute') return expression.name;
  return `${expression.name}(${expression.args.map(shown).join(', ')})`;
}

function parsed(source: string): string {
  const result = parseExpression(source);
  return 'problem' in result
    ? `${result.problem.column}: ${result.problem.message}`
    : shown(result.expression);
}

describe('an expression', () => {
  const reads = {
    'a.b == "x" || c && !d': '||(==(a.b, "x"), &&(c, !(d)))',
    'a | b | "c" == d': '==(|(|(a, b), "c"), d)',
    'a == b == c': '==(==(a, b), c)',
    '(a || b) && c': '&&(||(a, b), c)',
    'a["k"].startsWith("x")': 'startsWith([](a, "k"), "x")',
    'request.path.endsWith("x")': 'endsWith(request.path, "x")',
    '"x.*".matches(a.b)': 'matches("x.*", a.b)',
    'match(a, "x*") != true': '!=(match(a, "x*"), true)',
    'a + b >= -1': '>=(+(a, b), -1)',
    '0x10 < 1.5': '<(16, 1.5)',
    'emptyStringMap()': 'emptyStringMap()',
    '`a\\b` == "a\\\\b\\n\\u0041"': '==("a\\\\b", "a\\\\b\\nA")',
    ' conditional( a , b,c )\n': 'conditional(a, b, c)',
  };
  for (const [source, wanted] of Object.entries(reads)) {
    it(`${source} is ${wanted}`, () => assert.equal(parsed(source), wanted));
  }

  const refuses = {
    '': '1: the expression ends too early',
    'a ==': '5: the expression ends too early',
    'a b': '3: `b` was not expected here',
    '(a': '3: expected `)`, found the end',
    'a == "x': '6: no part of an expression begins like this (or a quote is missing)',
    'a["k"': '6: expected `]`, found the end',
    'a.': '2: a name must come after the dot',
    'a["x"].': '7: a name must come after the dot',
    '"\\q"': '1: the text has an escape that there is not, after a `\\`',
    '99999999999999999999': '1: the number is too large',
    'a = b': '3: no part of an expression begins like this (or a quote is missing)',
  };
  for (const [source, wanted] of Object.entries(refuses)) {
    it(`${JSON.stringify(source)} is refused`, () => assert.equal(parsed(source), wanted));
  }

  it('has bounds', () => {
    assert.match(parsed('('.repeat(40)), /at most 32 levels/);
    assert.match(parsed('!'.repeat(40)), /at most 32 levels/);
    assert.match(parsed('a'.repeat(5000)), /at most 4096 characters/);
    assert.doesNotMatch(parsed(Array(400).fill('a').join('||')), /:/);
  });

  it('never throws', () => {
    const piece = fc.constantFrom(...'a.b("x")[]!|&<>=+-,1`\\ '.split(''), '==', '||', '&&');
    const source = fc.oneof(
      fc.string(),
      fc.array(piece).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(source, (text) => {
        const result = readExpression(text, ['BOOL']);
        if (!('problem' in result)) return;
        const { column } = result.problem;
        assert.ok(column >= 1 && column <= text.length + 1);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the types of an expression', () => {
  const problem = (source: string) => {
    const result = readExpression(source, ['BOOL']);
    return 'problem' in result ? `${result.problem.column}: ${result.problem.message}` : '';
  };
  const taken = [
    'source.ip == ip("10.0.0.1")',
    'request.size > 200',
    'response.duration > "200ms"',
    'connection.mtls | false',
    '(request.headers | emptyStringMap())["x"] == "y"',
    'request.time < timestamp("2026-01-02T15:04:35Z")',
    'size(request.path) == 5 && as_string(request.size) == "5"',
    'dnsName("a.example") == dnsName("A.example.") && uri("http://x") != uri("http://y")',
    'email("a@b") == email("a@b")',
  ];
  for (const source of taken) it(`${source} is good`, () => assert.equal(problem(source), ''));

  const refused = {
    'source.ip == "10.0.0.1"': '11: `==` takes values of one type, here are IP_ADDRESS and STRING',
    'request.size | "x" == "x"': '14: `|` takes values of one type, here are INT64 and STRING',
    'request.path': '1: the expression must be of type BOOL, this is STRING',
    'request.pth == "x"': '1: there is no attribute request.pth',
    'destination.service.nam == "x"':
      '1: there is no attribute destination.service.nam; did you mean destination.name?',
    'ip("x") == source.ip': '4: "x" is not good for ip',
    'startWith(request.path, "x")': /^1: there is no function startWith; there are/,
    'match(request.path)': '1: match takes 2 arguments, here are 1',
    'match(request.path, 5)': '21: `match` takes STRING here, this is INT64',
    'request.headers == request.headers': '17: `==` does not take values of type STRING_MAP',
    'connection.mtls < true': '17: `<` does not take values of type BOOL',
    'response.duration > "long"': '19: `>` takes values of one type, here are DURATION and STRING',
  };
  for (const [source, wanted] of Object.entries(refused)) {
    it(`${source} is refused`, () => {
      if (typeof wanted === 'string') assert.equal(problem(source), wanted);
      else assert.match(problem(source), wanted);
    });
  }
});
