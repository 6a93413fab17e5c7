// A wait ends when its time is over or when somebody rings, and leaves no timer behind.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Alarm } from '#base/alarm.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

function setUp() {
  const clock = new FakeClock();
  return { clock, alarm: new Alarm(clock) };
}

describe('an alarm', () => {
  it('ends a wait when its time is over, not before', async () => {
    const { clock, alarm } = setUp();
    let isOver = false;
    const waiting = alarm.wait(100).then(() => {
      isOver = true;
    });
    clock.advance(99);
    await Promise.resolve();
    assert.equal(isOver, false);
    clock.advance(1);
    await waiting;
    assert.deepEqual(clock.waitingMs, []);
  });

  it('ends a wait when it is rung', async () => {
    const { clock, alarm } = setUp();
    const waiting = alarm.wait(100);
    alarm.ring();
    await waiting;
    assert.deepEqual(clock.waitingMs, []);
  });

  it('rung without a wait does nothing to the next one', () => {
    const { clock, alarm } = setUp();
    alarm.ring();
    void alarm.wait(100);
    assert.deepEqual(clock.waitingMs, [100]);
    alarm.ring();
  });

  it('keeps the process alive while anybody waits, and no longer', async () => {
    const { clock, alarm } = setUp();
    const other = new Alarm(clock);
    const kept = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = kept();
    const both = [alarm.wait(100), other.wait(200)];
    assert.equal(kept(), before + 1);
    clock.advance(100);
    assert.equal(kept(), before + 1);
    clock.advance(100);
    assert.equal(kept(), before);
    await Promise.all(both);
  });

  it('ends a wait that is still on when the next one begins', async () => {
    const { clock, alarm } = setUp();
    const first = alarm.wait(100);
    const second = alarm.wait(200);
    await first;
    assert.deepEqual(clock.waitingMs, [200]);
    clock.advance(200);
    await second;
  });
});
