import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { RootsView } from '#admin/contract.ts';
import { createLogger } from '#base/log.ts';
import { RootWatch } from '#controlplane/root-watch.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

const ORDER = ['prepare', 'activate', 'taint', 'revoke'] as const;

/** A root of which so much of its life is over, and a rotation that notes what it is asked for. */
async function watch(t: TestContext, usedPercent: number, isAutomatic = true) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const taken: string[] = [];
  const world = { usedPercent, missing: [] as RootsView['missing'] };
  const root = { state: 'active', serial: '1', keyId: 'k', notBefore: '', notAfter: '' } as const;
  const view = (): RootsView => ({
    roots: [{ ...root, usedPercent: world.usedPercent }],
    next: ORDER[taken.length % ORDER.length] ?? 'prepare',
    missing: world.missing,
    workloads: 1,
  });
  const act = async (body: unknown) => {
    if (world.missing.length > 0) return { code: 409, body: { message: 'not ready' } };
    taken.push((body as { step: string }).step);
    return { code: 200, body: {} };
  };
  const watched = new RootWatch({ isAutomatic }, { rotation: { view, act }, clock, log });
  t.after(() => watched.close());
  await watched.start();
  const minute = async (): Promise<void> => {
    clock.advance(60_000);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const warnings = () => lines.filter((line) => line.includes('of the life')).length;
  return { world, taken, minute, warnings, lines };
}

describe('the watch over the life of a root', () => {
  it('replaces it when four fifths are over, one step at each look', async (t) => {
    const { taken, minute } = await watch(t, 80);
    assert.deepEqual(taken, [], 'not before workloads could come back');
    for (const count of [1, 2, 3, 4]) {
      await minute();
      assert.deepEqual(taken, ORDER.slice(0, count));
    }
  });

  it('leaves it alone before that, and when that is not wanted', async (t) => {
    for (const [usedPercent, isAutomatic] of [
      [79.9, true],
      [99, false],
    ] as const) {
      const { taken, minute } = await watch(t, usedPercent, isAutomatic);
      await minute();
      assert.deepEqual(taken, []);
    }
  });

  it('waits for whoever is missing, and names them once', async (t) => {
    const { world, taken, minute, lines } = await watch(t, 90);
    world.missing = [{ name: 'web.shop', identity: 'x', reason: 'away' }];
    await minute();
    await minute();
    assert.deepEqual(taken, []);
    assert.equal(lines.filter((line) => line.includes('web.shop')).length, 1);
    world.missing = [];
    await minute();
    assert.deepEqual(taken, ['prepare']);
  });

  it('warns at half, four fifths and nineteen twentieths, once each', async (t) => {
    const { world, minute, warnings } = await watch(t, 10, false);
    for (const [usedPercent, expected] of [
      [49.9, 0],
      [50, 1],
      [79, 1],
      [80, 2],
      [96, 3],
      [99, 3],
    ] as const) {
      world.usedPercent = usedPercent;
      await minute();
      await minute();
      assert.equal(warnings(), expected, `${usedPercent}`);
    }
  });
});
