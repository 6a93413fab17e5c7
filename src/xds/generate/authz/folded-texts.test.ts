import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { Tests } from '#policy/authz/condition.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import { folded, foldedPatterns } from '#xds/generate/authz/folded-texts.ts';

const FROM = LIMITS.authzFoldedTextsMin;
const exact = (count: number, text = 'a.b-') =>
  Array.from({ length: count }, (_, at): TextMatch => ({ match: 'exact', value: `${text}${at}` }));
const tests = (values: readonly TextMatch[], notValues: readonly TextMatch[] = []) =>
  folded<TextMatch, Tests<TextMatch>>({ values, notValues, field: '', notField: '' });

/** Whether one of the expressions matches a text as a whole. */
function matches(values: readonly TextMatch[], text: string): boolean {
  return values.some(
    (one) => one.match === 'pattern' && new RegExp(`^(?:${one.value})$`).test(text),
  );
}

test('few texts stay as they are', () => {
  const values = exact(FROM - 1);
  assert.deepEqual(tests(values).values, values);
});

test('many texts become one expression that matches just them', () => {
  const prefix: TextMatch = { match: 'prefix', value: 'p' };
  const { values, notValues } = tests([...exact(FROM), prefix], exact(FROM, 'n'));
  assert.equal(values.length, 2);
  assert.deepEqual(values[1], prefix);
  assert.equal(notValues.length, 1);
  assert.ok(matches(values, `a.b-${FROM - 1}`));
  for (const text of [`a.b-${FROM}`, 'axb-1', 'a.b-', 'a.b-1x', 'xa.b-1'])
    assert.ok(!matches(values, text), text);
});

test('texts in any letter case are folded, and no other expressions of users', () => {
  const any = (count: number) =>
    Array.from(
      { length: count },
      (_, at): TextMatch => ({ match: 'pattern', value: `(?i:n${at})` }),
    );
  assert.deepEqual(tests(any(FROM - 1)).values, any(FROM - 1));
  const ofUser: TextMatch = { match: 'pattern', value: '(?i:a{1,900})' };
  const { values } = tests([...any(3000), ofUser]);
  assert.ok(values.length < 20, `${values.length}`);
  assert.deepEqual(values.at(-1), ofUser);
  assert.ok(matches(values, 'n2999'));
  assert.ok(!matches(values, 'n3000'));
});

test('many expressions become few, and few stay as they are', () => {
  const patterns = Array.from({ length: 1000 }, (_, at) => `spiffe://[^/]+/ns/n${at}/sa/[^/]+`);
  assert.deepEqual(foldedPatterns(patterns.slice(0, FROM - 1)), patterns.slice(0, FROM - 1));
  const few = foldedPatterns(patterns);
  assert.ok(few.length < 10, `${few.length}`);
  const whole = few.map((pattern) => new RegExp(`^(?:${pattern})$`));
  const isOne = (text: string) => whole.some((pattern) => pattern.test(text));
  assert.ok(isOne('spiffe://td/ns/n999/sa/x'));
  assert.ok(!isOne('spiffe://td/ns/n1000/sa/x'));
});

test('an expression does not grow beyond what Envoy takes', () => {
  const long = exact(40).map((one, at) => ({ ...one, value: `${at}${'x'.repeat(2000)}` }));
  const { values } = tests(long as TextMatch[]);
  assert.equal(values.length, 4);
  assert.ok(long.every(({ value }) => matches(values, value)));
  // What they begin with in common counts once.
  assert.equal(tests(exact(1000, 'y'.repeat(2000))).values.length, 1);
});
