import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { AccessRecord } from '#admin/audit.ts';
import { auditQueryOf, auditView } from '#audit/audit-query.ts';
import { AuditTrail, type NewRecord } from '#audit/audit-trail.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const identity = (namespace: string, account: string) =>
  `spiffe://cluster.local/ns/${namespace}/sa/${account}`;

const call = (changes: Partial<AccessRecord> = {}): NewRecord => ({
  type: 'access',
  at: '2026-01-22T09:00:00.000Z',
  decision: 'denied',
  protocol: 'http',
  workload: { namespace: 'shop', name: 'app-7f', identity: identity('shop', 'backend') },
  caller: identity('web', 'caller'),
  policy: 'shop/no',
  path: '/',
  ...changes,
});

async function trailIn(t: TestContext, keeps = true) {
  const clock = new FakeClock(Date.UTC(2026, 0, 22));
  const directory = keeps ? temporaryDirectory(t) : undefined;
  const deps = { clock, random: systemRandom, log: silentLogger, metrics: new Metrics() };
  const trail = new AuditTrail({ directory, fileBytes: 10_000_000, files: 3, sinks: [] }, deps);
  t.after(() => trail.close());
  await trail.start();
  const ask = (text: string) =>
    auditView(auditQueryOf(new URLSearchParams(text)), { trail, files: 3 });
  const paths = async (text: string) =>
    (await ask(text)).records.map((one) => (one.type === 'access' ? one.path : one.type));
  return { trail, clock, ask, paths };
}

describe('a question about records', () => {
  it('is answered by caller, workload, policy and decision', async (t) => {
    const { trail, paths } = await trailIn(t);
    const { caller: _, ...unknown } = call() as AccessRecord;
    trail.record(call({ path: '/a' }));
    trail.record({ ...unknown, path: '/outside' });
    trail.record(
      call({ path: '/b', decision: 'allowed', policy: 'shop/yes', auditedBy: 'shop/no' }),
    );
    trail.record(call({ path: '/c', caller: identity('web', 'other'), policy: 'x/y' }));
    for (const [query, expected] of [
      ['', ['/a', '/outside', '/b', '/c']],
      ['from=web', ['/a', '/b', '/c']],
      ['from=web/caller', ['/a', '/b']],
      [`from=${identity('web', 'other')}`, ['/c']],
      ['from=outside', ['/outside']],
      ['from=we', []],
      ['to=shop', ['/a', '/outside', '/b', '/c']],
      ['to=shop/app', ['/a', '/outside', '/b', '/c']],
      ['to=shop/backend&decision=allowed', ['/b']],
      ['to=shop/ap', []],
      ['policy=shop/no', ['/a', '/outside', '/b']],
      ['decision=denied&policy=x/y', ['/c']],
      ['of=changes', []],
    ] as const)
      assert.deepEqual(await paths(query), expected, query);
  });

  it('goes on from where the last answer ended, each record once', async (t) => {
    const { trail, ask, paths } = await trailIn(t);
    trail.record(call({ path: '/a' }));
    const { next } = await ask('');
    assert.deepEqual(await paths(`after=${next}`), []);
    trail.record(call({ path: '/b' }));
    assert.deepEqual(await paths(`after=${next}`), ['/b']);
  });

  it('gets the latest ones, and is told that there are more', async (t) => {
    const { trail, ask, paths } = await trailIn(t);
    for (let number = 0; number < 25; number += 1) trail.record(call({ path: `/${number}` }));
    assert.deepEqual(await paths('limit=2'), ['/23', '/24']);
    assert.equal((await ask('limit=2')).isCut, true);
    assert.equal((await ask('limit=25')).isCut, false);
    assert.equal(auditQueryOf(new URLSearchParams('limit=9999999')).limit, LIMITS.auditListMax);
    assert.equal(auditQueryOf(new URLSearchParams('limit=-1&after=x')).after, 0);
  });

  it('is of changes, or of tokens that were asked for', async (t) => {
    const { trail, ask } = await trailIn(t);
    const who = { user: 'ann', groups: [], fields: [], fieldsLeftOut: 0, at: '' };
    const change = { type: 'change', verb: 'create', apiVersion: 'v1', namespace: '' } as const;
    for (const kind of ['ConfigMap', 'TokenRequest'])
      trail.record({ ...who, ...change, kind, name: kind });
    const names = async (of: string) =>
      (await ask(`of=${of}`)).records.map((one) => 'name' in one && one.name);
    assert.deepEqual(await names('changes'), ['ConfigMap']);
    assert.deepEqual(await names('tokens'), ['TokenRequest']);
    assert.deepEqual(await names('calls'), []);
  });

  it('shows gaps, whatever is asked for', async (t) => {
    const { trail, paths } = await trailIn(t);
    trail.record({ type: 'gap', at: '2026-01-22T09:00:00.000Z', missing: 3, why: 'too many' });
    assert.deepEqual(await paths('from=web&policy=a/b'), ['gap']);
  });

  it('is told when nothing is kept', async (t) => {
    const { trail, ask } = await trailIn(t, false);
    trail.record(call());
    assert.equal((await ask('')).isKept, false);
  });
});

it('a flood of calls or tokens keeps within its files, and leaves the changes alone', async (t) => {
  const directory = temporaryDirectory(t);
  const clock = new FakeClock(Date.UTC(2026, 0, 22));
  const deps = { clock, random: systemRandom, log: silentLogger, metrics: new Metrics() };
  const trail = new AuditTrail({ directory, fileBytes: 65_536, files: 2, sinks: [] }, deps);
  t.after(() => trail.close());
  await trail.start();
  const change = { verb: 'create', apiVersion: 'v1', kind: 'K', namespace: '', name: 'n' } as const;
  const who = { user: 'ann', groups: [], fields: [], fieldsLeftOut: 0 };
  trail.record({ type: 'change', at: '', ...change, ...who });
  for (let round = 0; round < 10; round += 1) {
    for (let number = 0; number < 1000; number += 1) trail.record(call());
    const token = { ...change, kind: 'TokenRequest' };
    for (let number = 0; number < 1000; number += 1)
      trail.record({ type: 'change', at: '', ...token, ...who });
    await trail.flushed();
  }
  const ask = (text: string) =>
    auditView(auditQueryOf(new URLSearchParams(text)), { trail, files: 2 });
  assert.equal((await ask('of=changes')).records.length, 1);
  const { records } = await ask('');
  assert.ok(records.length >= 1000 && records.length < 10_000, String(records.length));
});
