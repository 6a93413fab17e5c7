// The server is killed while it signs, revokes and rotates: at one step of each kind. All of them:
// test/soak/server-kill.test.ts.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAULT_STEPS } from '../kit/fault-names.ts';
import { KilledServer } from '../kit/killed-server.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

/** What a start writes last. */
const STARTED = 'rename addresses.json#1';

/** Of each kind of step, on each kind of file, the one in the middle. */
function oneOfEachKind(points: readonly string[]): readonly string[] {
  const kinds = Map.groupBy(points, (point) => point.replace(/#\d+$/, ''));
  return [...kinds.values()].flatMap((same) => same[Math.floor(same.length / 2)] ?? []);
}

test('a server that is killed while it signs, revokes and rotates forgets nothing', async (t) => {
  const server = new KilledServer(t, join(temporaryDirectory(t), 'data'));
  const { passed, died } = await server.run();
  assert.equal(died, false);
  const steps = new Set(passed.map((point) => point.split(/[ #]/)[0]));
  assert.deepEqual([...steps].sort(), Object.keys(FAULT_STEPS).sort());
  await server.verify();

  const again = (await server.run()).passed;
  const points = oneOfEachKind(again.slice(again.indexOf(STARTED) + 1));
  const reached: string[] = [];
  for (const point of points) {
    if ((await server.run(point)).died) reached.push(point);
    await server.verify();
  }
  // Steps that do not wait for each other may come in another order, and one of them less often.
  assert.ok(reached.length >= points.length - 3, `${points} but only ${reached}`);
  assert.equal((await server.run()).died, false);
  await server.verify();
});
