import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { AuditTrail } from '#audit/audit-trail.ts';
import type { ToldCall } from '#audit/call-entry.ts';
import { pathPattern } from '#audit/path-pattern.ts';
import { TrafficCounts } from '#audit/traffic-counts.ts';
import { trafficView } from '#audit/traffic-view.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const WORKLOAD = {
  namespace: 'shop',
  name: 'app-1',
  identity: 'spiffe://cluster.local/ns/shop/sa/app',
};
const HOUR_MS = 3_600_000;

const call = (changes: Partial<ToldCall> = {}): ToldCall => ({
  at: '',
  decision: 'allowed',
  protocol: 'http',
  workload: WORKLOAD,
  port: 8080,
  caller: 'spiffe://cluster.local/ns/web/sa/caller',
  method: 'GET',
  path: '/users/17',
  ...changes,
});

async function counting(t: TestContext) {
  const clock = new FakeClock(Date.UTC(2026, 0, 22, 9, 30));
  const directory = temporaryDirectory(t);
  const bounds = { fileBytes: 1_000_000_000, files: 3, sinks: [] };
  const deps = { clock, random: systemRandom, log: silentLogger, metrics: new Metrics() };
  const trail = new AuditTrail({ directory, ...bounds }, deps);
  t.after(() => trail.close());
  await trail.start();
  const traffic = new TrafficCounts(5, { clock, keep: (line) => trail.keep('traffic', line) });
  const view = (sinceMs = 0) => trafficView(sinceMs, { trail, traffic, percent: 5, files: 3 });
  return { clock, traffic, view };
}

describe('counts of calls', () => {
  it('put together what differs by keys in paths only, over minutes and hours', async (t) => {
    const { clock, traffic, view } = await counting(t);
    await traffic.start();
    t.after(() => traffic.close());
    traffic.take(call());
    clock.advance(61_000);
    traffic.take(call({ path: '/users/18' }));
    clock.advance(HOUR_MS);
    traffic.take(call({ path: '/users/19' }));
    traffic.take(call({ path: '/users' }));
    const { rows, since, percent } = await view();
    assert.deepEqual(
      rows.map(({ pattern, seen, path }) => [pattern, seen, path]),
      [
        ['/users/*', 3, '/users/19'],
        ['/users', 1, '/users'],
      ],
    );
    assert.deepEqual([since, percent], ['2026-01-22T09:00:00.000Z', 5]);
    const recent = await view(clock.now());
    assert.deepEqual(
      recent.rows.map(({ pattern, seen }) => [pattern, seen]),
      [
        ['/users/*', 1],
        ['/users', 1],
      ],
    );
  });

  it('leave denied calls out: they have records of their own', async (t) => {
    const { traffic, view } = await counting(t);
    traffic.take(call({ decision: 'denied' }));
    assert.deepEqual((await view()).rows, []);
  });

  it('are bounded, and say how much is not told apart', async (t) => {
    const { traffic, view } = await counting(t);
    const most = LIMITS.trafficRowsPerHourMax;
    for (let number = 0; number < most + 7; number += 1)
      traffic.take(call({ path: `/p${number}` }));
    traffic.take(call({ workload: { ...WORKLOAD, identity: 'other' } }));
    traffic.takeUnknown(3);
    const { rows, notToldApart } = await view();
    assert.deepEqual([rows.length, notToldApart], [most + 1, 10]);
  });
});

it('a pattern of a path has no numbers, keys or endless rests', () => {
  const uuid = '123e4567-e89b-12d3-a456-426614174000';
  assert.equal(pathPattern(`/users/17/orders/${uuid}`), '/users/*/orders/*');
  assert.equal(pathPattern('/api/v1/products'), '/api/v1/products');
  assert.equal(pathPattern('/t/0123456789abcdef01'), '/t/*');
  assert.equal(pathPattern('/a'.repeat(50)), `${'/a'.repeat(11)}/**`);
});
