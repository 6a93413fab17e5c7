import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Turns } from '#apiserver/turns.ts';

it('runs work on one key in order, one at a time, also after a failure', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const work = (name: string, fails = false) =>
    turns.take('key', async () => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
    });
  const results = await Promise.allSettled([work('a'), work('b', true), work('c')]);
  assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

it('does not make work on different keys wait', async () => {
  const turns = new Turns();
  const never = new Promise<void>(() => {});
  void turns.take('a', () => never);
  assert.equal(await turns.take('b', async () => 'done'), 'done');
});
