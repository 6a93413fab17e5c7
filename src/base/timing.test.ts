import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Backoff } from '#base/backoff.ts';
import { delay, systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

describe('back-off', () => {
  it('doubles up to its maximum, keeps jitter within the upper half, and starts anew', () => {
    const low = new Backoff(
      { delayMsMin: 100, delayMsMax: 1000 },
      { ...systemRandom, fraction: () => 0 },
    );
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6].map(() => low.nextDelayMs()),
      [50, 100, 200, 400, 500, 500],
    );
    low.reset();
    assert.equal(low.nextDelayMs(), 50);
    const high = new Backoff(
      { delayMsMin: 100, delayMsMax: 1000 },
      { ...systemRandom, fraction: () => 1 },
    );
    assert.equal(high.nextDelayMs(), 100);
  });
});

describe('the clock', () => {
  it('calls after the delay, and not when cancelled', async () => {
    let cancelled = 0;
    systemClock.after(5, () => (cancelled += 1)).cancel();
    await delay(systemClock, 15);
    assert.equal(cancelled, 0);
  });

  it('takes delays longer than setTimeout does', () => {
    let fired = false;
    const timer = systemClock.after(40 * 86_400_000, () => (fired = true));
    timer.cancel();
    assert.equal(fired, false);
  });

  it('ends a delay at once when the signal aborts', async () => {
    const clock = new FakeClock();
    const ending = new AbortController();
    const waiting = delay(clock, 1_000_000, ending.signal);
    ending.abort();
    await waiting;
    assert.deepEqual(clock.waitingMs, []);
  });
});
