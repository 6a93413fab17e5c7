// At a rate that meshes know, every signature is verified; in a storm a random part of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SignatureBudget } from '#ca/signature-budget.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

/** A budget with a clock to move and a die that falls where it is told. */
function budget(falls: () => number = () => 0.99) {
  const clock = new FakeClock();
  const random = { bytes: (count: number) => new Uint8Array(count), fraction: falls };
  return { clock, signatures: new SignatureBudget({ clock, random }) };
}

const taken = (signatures: SignatureBudget, count: number): number =>
  Array.from({ length: count }, () => signatures.takes()).filter(Boolean).length;

describe('the budget for verifying signatures', () => {
  it('takes every one of 1000 at once', () => {
    assert.equal(taken(budget().signatures, 1000), 1000);
  });

  it('takes every one at 1000 a second, for ever', () => {
    const { clock, signatures } = budget();
    for (let second = 0; second < 100; second += 1) {
      for (let tenth = 0; tenth < 10; tenth += 1) {
        assert.equal(taken(signatures, 100), 100);
        clock.advance(100);
      }
    }
  });

  it('takes what the die says of the rest, a quarter of it', () => {
    let step = 0;
    const { signatures } = budget(() => (step++ % 100) / 100);
    assert.equal(taken(signatures, 1000), 1000);
    assert.equal(taken(signatures, 1000), 250);
  });

  it('takes every one again when the storm is over, but saves no more than a second', () => {
    const { clock, signatures } = budget();
    taken(signatures, 5000);
    clock.advance(500);
    assert.equal(taken(signatures, 1000), 500);
    clock.advance(3_600_000);
    assert.equal(taken(signatures, 2000), 1000);
  });
});
