// The server is killed at every step by which it signs, revokes, rotates, and starts for the first
// time: some 300 deaths. What it acknowledged is there, and nothing is half done.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { KilledServer } from '../kit/killed-server.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

/** What a first start writes last. */
const STARTED = 'rename addresses.json#1';
/** The order of steps that do not wait for each other may differ from run to run. */
const REACHED_MIN = 0.95;

test('a server that is killed at every step of a first start is whole', async (t) => {
  const directory = temporaryDirectory(t);
  const { passed } = await new KilledServer(t, join(directory, 'all', 'data')).run();
  const points = passed.slice(0, passed.indexOf(STARTED) + 1);
  let deaths = 0;
  for (const [index, point] of points.entries()) {
    const server = new KilledServer(t, join(directory, String(index), 'data'));
    if ((await server.run(point)).died) deaths += 1;
    await server.verify();
    // One more life on what was left.
    if (index % 10 === 0) {
      assert.equal((await server.run()).died, false);
      await server.verify();
    }
  }
  t.diagnostic(`${deaths} deaths at ${points.length} points`);
  assert.ok(deaths >= points.length * REACHED_MIN);
});

test('a server that is killed at every step of signing, revoking, rotating is whole', async (t) => {
  const server = new KilledServer(t, join(temporaryDirectory(t), 'data'));
  await server.run();
  const { passed: points } = await server.run();
  let deaths = 0;
  for (const point of points) {
    if ((await server.run(point)).died) deaths += 1;
    await server.verify();
  }
  t.diagnostic(`${deaths} deaths at ${points.length} points, ${server.issued} certificates`);
  assert.ok(deaths >= points.length * REACHED_MIN);
});
