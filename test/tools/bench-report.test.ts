// npm run bench shows both sides of each ratio, and refuses figures that cannot be right.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BenchResult } from '../../bench/bench-result.ts';
import { formatResult, goalMet, problemOf } from '../../tools/bench/report.ts';

const RESULT: BenchResult = {
  name: 'csr',
  numerator: { label: 'CSR → certificate', value: 232.14, unit: 'µs' },
  denominator: { label: 'floor', value: 180.05, unit: 'µs' },
  ratio: 1.289,
  spread: { min: 1.2, max: 1.4 },
  goal: 1.4,
};

describe('the report of a benchmark', () => {
  test('shows numerator, denominator, ratio, spread and goal', () => {
    assert.equal(
      formatResult(RESULT),
      'csr\n' +
        '  CSR → certificate  232.1 µs\n' +
        '  floor              180.1 µs\n' +
        '  ratio              1.29  (1.20 to 1.40)\n' +
        '  goal               ≤ 1.4: met\n',
    );
  });

  test('says when a goal is missed', () => {
    const slow = { ...RESULT, ratio: 1.41, spread: { min: 1.2, max: 1.5 } };
    assert.equal(goalMet(slow), false);
    assert.match(formatResult(slow), /missed/);
  });

  test('refuses figures that cannot be right', () => {
    assert.equal(problemOf(RESULT), undefined);
    assert.match(problemOf({ ...RESULT, ratio: 2 }) ?? '', /outside/);
    assert.match(problemOf({ ...RESULT, ratio: Number.NaN }) ?? '', /no number/);
    const empty = { ...RESULT, denominator: { ...RESULT.denominator, value: 0 } };
    assert.match(problemOf(empty) ?? '', /zero/);
  });
});
