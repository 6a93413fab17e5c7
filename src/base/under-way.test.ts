import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnderWay } from './under-way.ts';

test('work is over when the last of it is', async () => {
  const underWay = new UnderWay();
  await underWay.over();
  const works = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  for (const { promise } of works) underWay.add(promise);
  let isOver = false;
  const over = underWay.over().then(() => {
    isOver = true;
  });
  works[1]?.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isOver, false);
  works[0]?.resolve();
  await over;
});
