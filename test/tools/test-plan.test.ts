// npm test runs what its arguments say, quick files first.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { planTests, type TestPlan } from '../../tools/test-plan.ts';
import { MOSTLY_WAITING } from '../../tools/waiting-tests.ts';

const PATHS = [
  'test/e2e/mutual-tls.test.ts',
  'test/contract/store.test.ts',
  'src/pki/csr.test.ts',
  'src/base/files.test.ts',
  'test/soak/churn.test.ts',
  'test/tidy/tidy.test.ts',
];

const filesOf = ({ lanes }: TestPlan) => lanes.flatMap((lane) => lane.files);

describe('the plan of a test run', () => {
  test('holds everything but soak tests, and the real Envoy comes last', () => {
    const files = [
      'test/tidy/tidy.test.ts',
      'src/base/files.test.ts',
      'src/pki/csr.test.ts',
      'test/contract/store.test.ts',
      'test/e2e/mutual-tls.test.ts',
    ];
    assert.deepEqual(planTests(PATHS, [], 2), { lanes: [{ files, concurrency: 2 }], names: [] });
  });

  test('takes an argument that is part of a path as a choice of files', () => {
    assert.deepEqual(filesOf(planTests(PATHS, ['./src/pki', 'contract'], 2)), [
      'src/pki/csr.test.ts',
      'test/contract/store.test.ts',
    ]);
  });

  test('takes any other argument as part of the name of a test', () => {
    const plan = planTests(PATHS, ['src/pki', 'weak keys are refused'], 2);
    assert.deepEqual(filesOf(plan), ['src/pki/csr.test.ts']);
    assert.deepEqual(plan.names, ['weak keys are refused']);
  });

  test('takes soak tests only when asked', () => {
    assert.deepEqual(filesOf(planTests(PATHS, ['--soak'], 2)), ['test/soak/churn.test.ts']);
    assert.throws(() => planTests(PATHS.slice(0, 4), ['--soak'], 2), /there are no soak tests/);
  });

  test('has a lane for tests that mostly wait, and there is each of them', () => {
    const [waits = ''] = MOSTLY_WAITING;
    assert.deepEqual(planTests([...PATHS.slice(0, 1), waits], [], 2).lanes, [
      { files: ['test/e2e/mutual-tls.test.ts'], concurrency: 2 },
      { files: [waits], concurrency: 1 },
    ]);
    for (const path of MOSTLY_WAITING) {
      assert.ok(existsSync(new URL(`../../${path}`, import.meta.url)), path);
    }
  });

  test('refuses options it does not know', () => {
    assert.equal(planTests(PATHS, ['--concurrency', '1'], 2).lanes[0]?.concurrency, 1);
    assert.throws(() => planTests(PATHS, ['--concurrency', 'x'], 2), /whole number/);
    assert.throws(() => planTests(PATHS, ['--watch'], 2), /unknown option --watch/);
  });
});
