// npm test runs what its arguments say, quick files first.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planTests } from '../../tools/test-plan.ts';

const PATHS = [
  'test/e2e/mutual-tls.test.ts',
  'test/contract/store.test.ts',
  'src/pki/csr.test.ts',
  'src/base/files.test.ts',
  'test/soak/churn.test.ts',
  'test/tidy/tidy.test.ts',
];

describe('the plan of a test run', () => {
  test('holds everything but soak tests, and the real Envoy comes last', () => {
    assert.deepEqual(planTests(PATHS, [], 2), {
      files: [
        'test/tidy/tidy.test.ts',
        'src/base/files.test.ts',
        'src/pki/csr.test.ts',
        'test/contract/store.test.ts',
        'test/e2e/mutual-tls.test.ts',
      ],
      names: [],
      concurrency: 2,
    });
  });

  test('takes an argument that is part of a path as a choice of files', () => {
    assert.deepEqual(planTests(PATHS, ['./src/pki', 'contract'], 2).files, [
      'src/pki/csr.test.ts',
      'test/contract/store.test.ts',
    ]);
  });

  test('takes any other argument as part of the name of a test', () => {
    const { files, names } = planTests(PATHS, ['src/pki', 'weak keys are refused'], 2);
    assert.deepEqual(files, ['src/pki/csr.test.ts']);
    assert.deepEqual(names, ['weak keys are refused']);
  });

  test('takes soak tests only when asked', () => {
    assert.deepEqual(planTests(PATHS, ['--soak'], 2).files, ['test/soak/churn.test.ts']);
    assert.throws(() => planTests(PATHS.slice(0, 4), ['--soak'], 2), /there are no soak tests/);
  });

  test('refuses options it does not know', () => {
    assert.equal(planTests(PATHS, ['--concurrency', '1'], 2).concurrency, 1);
    assert.throws(() => planTests(PATHS, ['--concurrency', 'x'], 2), /whole number/);
    assert.throws(() => planTests(PATHS, ['--watch'], 2), /unknown option --watch/);
  });
});
