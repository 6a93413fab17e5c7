import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import {
  afterStep,
  nextStep,
  ROTATION_STEPS,
  type RootSlot,
  type RotationStep,
} from '#ca/roots/root-states.ts';

const FIRST: readonly RootSlot[] = [{ slot: 'old', state: 'active' }];

/** The roots after these steps, as `slot state`, the one that signs first. */
function after(...steps: readonly RotationStep[]): readonly string[] {
  return rootsAfter(steps).map(({ slot, state }) => `${slot} ${state}`);
}

function rootsAfter(steps: readonly RotationStep[]): readonly RootSlot[] {
  return steps.reduce((roots, step) => afterStep(roots, step, 'new'), FIRST);
}

describe('the steps of a rotation', () => {
  it('lead from the old root to the new one, and one root signs at every moment', () => {
    assert.deepEqual(after('prepare'), ['old active', 'new prepared']);
    assert.deepEqual(after('prepare', 'activate'), ['new active', 'old retired']);
    assert.deepEqual(after('prepare', 'activate', 'taint'), ['new active', 'old tainted']);
    assert.deepEqual(after('prepare', 'activate', 'taint', 'revoke'), ['new active']);
  });

  it('lead back as long as the key of the old root is there', () => {
    assert.deepEqual(after('prepare', 'abort'), ['old active']);
    assert.deepEqual(after('prepare', 'activate', 'abort'), ['old active', 'new prepared']);
    assert.deepEqual(after('prepare', 'activate', 'abort', 'abort'), ['old active']);
    assert.throws(
      () => after('prepare', 'activate', 'taint', 'abort'),
      (error) => isBulwarkError(error, 'CA_ROTATION_REFUSED') && /revoke/.test(`${error.remedy}`),
    );
  });

  it('come in order: anything else is refused and says what comes next', () => {
    const path: readonly RotationStep[] = ['prepare', 'activate', 'taint', 'revoke'];
    for (let taken = 0; taken < path.length; taken += 1) {
      const roots = rootsAfter(path.slice(0, taken));
      assert.equal(nextStep(roots), path[taken]);
      for (const step of ROTATION_STEPS) {
        const isAllowed = step === path[taken] || (step === 'abort' && [1, 2].includes(taken));
        const refused = (error: unknown) => isBulwarkError(error, 'CA_ROTATION_REFUSED');
        if (isAllowed) assert.doesNotThrow(() => afterStep(roots, step, 'new'));
        else assert.throws(() => afterStep(roots, step, 'new'), refused, `${step} at ${taken}`);
      }
    }
  });
});
