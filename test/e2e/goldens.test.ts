import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goldenCases, goldenSnapshot } from '../kit/golden-case.ts';
import { validateWithEnvoy } from '../kit/validate-with-envoy.ts';

/**
 * Everything that the expected outputs of the generator hold is valid to the real Envoy, down to
 * its extensions.
 */
for (const [name, input] of goldenCases()) {
  test(`Envoy accepts ${name}`, { timeout: 120_000 }, async (t) => {
    assert.doesNotMatch(await validateWithEnvoy(t, goldenSnapshot(input)), /deprecat|unknown/i);
  });
}
