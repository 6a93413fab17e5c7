import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Lanes } from '#base/lanes.ts';

it('no more work is done at one time than there are lanes, in the order in which it came', async () => {
  const lanes = new Lanes(2);
  const begun: number[] = [];
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<number>());
  const all = gates.map(({ promise }, index) =>
    lanes.run(() => {
      begun.push(index);
      return promise;
    }),
  );
  assert.deepEqual(begun, [0, 1]);
  gates[1]?.resolve(10);
  assert.equal(await all[1], 10);
  assert.deepEqual(begun, [0, 1, 2]);
  for (const gate of gates) gate.resolve(20);
  assert.deepEqual(await Promise.all(all), [20, 10, 20, 20]);
});

it('a lane is free again after work that failed', async () => {
  const lanes = new Lanes(1);
  const failed = lanes.run(async () => {
    throw new Error('no');
  });
  const next = lanes.run(async () => 'yes');
  await assert.rejects(failed, /no/);
  assert.equal(await next, 'yes');
  assert.equal(await lanes.run(async () => 'again'), 'again');
});
