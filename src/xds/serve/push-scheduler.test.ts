import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { PushScheduler } from './push-scheduler.ts';

const items = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ index, marked: false }));
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the first mark is worked on at once, and each item once', async () => {
  const done: number[] = [];
  const scheduler = new PushScheduler(
    new FakeClock(),
    ({ index }: { index: number; marked: boolean }) => void done.push(index),
  );
  const [a, b] = items(2);
  assert.ok(a && b);
  for (const item of [a, b, a]) scheduler.mark(item);
  assert.deepEqual(done, []);
  await Promise.resolve();
  assert.deepEqual(done, [0, 1]);
  scheduler.mark(a);
  await Promise.resolve();
  assert.deepEqual(done, [0, 1, 0]);
});

test('what is marked meanwhile is done too, again if it was done before', async () => {
  const [a, b] = items(2);
  assert.ok(a && b);
  const done: number[] = [];
  const scheduler = new PushScheduler(new FakeClock(), (item: typeof a) => {
    done.push(item.index);
    if (done.length === 1) for (const other of [a, b]) scheduler.mark(other);
  });
  scheduler.mark(a);
  await Promise.resolve();
  assert.deepEqual(done, [0, 0, 1]);
});

test('a long round gives way, by count and by time, and loses nothing', async () => {
  const clock = new FakeClock();
  let costMs = 0;
  let done = 0;
  const scheduler = new PushScheduler(clock, (_item: { marked: boolean }) => {
    done += 1;
    clock.advance(costMs);
  });
  for (const item of items(100)) scheduler.mark(item);
  await Promise.resolve();
  assert.equal(done, 32);
  for (let round = 0; round < 4; round += 1) await turn();
  assert.equal(done, 100);
  costMs = 6;
  for (const item of items(5)) scheduler.mark(item);
  await Promise.resolve();
  assert.equal(done, 102);
  for (let round = 0; round < 3; round += 1) await turn();
  assert.equal(done, 105);
});
