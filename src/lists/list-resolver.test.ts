// Lists of listcheckers: fetched when they are wanted, kept while they count, and not longer.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { FetchedLists, type ListSource } from '#model/fetched-lists.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { KeptList } from './list-folder.ts';
import { ListResolver } from './list-resolver.ts';

const A: ListSource = {
  url: 'https://lists/a?key=secret',
  entryType: 'STRINGS',
  refreshMs: 60_000,
  ttlMs: 300_000,
};
const B: ListSource = { ...A, url: 'https://lists/b' };

function fixture(kept: readonly KeptList[] = []) {
  const clock = new FakeClock();
  const answers = new Map<ListSource, readonly string[] | Promise<readonly string[]>>();
  const asked: ListSource[] = [];
  const lines: string[] = [];
  let lists = FetchedLists.none;
  let changes = 0;
  const folder = new Map(kept.map((list) => [list.source, list]));
  const resolver = new ListResolver({
    fetch: async (source) => {
      asked.push(source);
      const answer = answers.get(source);
      if (answer === undefined) throw new BulwarkError('NET_FETCH_FAILED', 'nobody is there');
      return answer;
    },
    folder: {
      load: async () => [...folder.values()],
      save: async (list) => void folder.set(list.source, list),
      forget: async (source) => void folder.delete(source),
    },
    clock,
    random: { bytes: (size) => new Uint8Array(size), fraction: () => 1 - Number.EPSILON },
    log: createLogger({ level: 'debug', sink: { write: (line) => void lines.push(line) } }),
    metrics: new Metrics(),
    onChange: (next) => {
      lists = next;
      changes += 1;
    },
  });
  /** Lets attempts end that began. */
  const asking = async (times: number) => {
    await waitUntil(() => asked.length >= times, `${times} attempts`);
    await resolver.tried();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const list = (source: ListSource) => lists.get(source);
  return { folder, clock, answers, asked, resolver, list, lines, asking, changes: () => changes };
}

describe('a list', () => {
  test('is fetched when it is wanted, and again while it is', async () => {
    const { resolver, answers, clock, list, asking, asked, changes } = fixture();
    await resolver.start();
    answers.set(A, ['a']);
    resolver.want([A]);
    await asking(1);
    assert.deepEqual(list(A), { entries: ['a'], error: undefined });
    const { entries } = list(A) ?? {};
    answers.set(A, ['a']);
    clock.advance(A.refreshMs);
    await asking(2);
    assert.equal(list(A)?.entries, entries, 'the same list is the same object');
    assert.equal(changes(), 1);
    answers.set(A, ['b']);
    clock.advance(A.refreshMs);
    await asking(3);
    assert.deepEqual(list(A)?.entries, ['b']);
    resolver.want([]);
    assert.equal(list(A), undefined);
    clock.advance(10 * A.refreshMs);
    assert.equal(asked.length, 3);
    await resolver.close();
  });

  test('counts on while its provider is away, until its time is over', async () => {
    const { resolver, answers, clock, list, asking, lines } = fixture();
    await resolver.start();
    answers.set(A, ['a']);
    resolver.want([A]);
    await asking(1);
    answers.delete(A);
    clock.advance(A.refreshMs);
    await asking(2);
    assert.deepEqual(list(A)?.entries, ['a']);
    assert.match(list(A)?.error ?? '', /nobody is there/);
    clock.advance(A.ttlMs - A.refreshMs - 1);
    assert.deepEqual(list(A)?.entries, ['a']);
    clock.advance(1);
    assert.equal(list(A)?.entries, undefined);
    answers.set(A, ['c']);
    await waitUntil(() => {
      clock.advance(1000);
      return list(A)?.entries;
    }, 'the list is back');
    assert.deepEqual(list(A), { entries: ['c'], error: undefined });
    assert.ok(!lines.join('').includes('secret'), 'no query of a URL is in the log');
    await resolver.close();
  });

  test('counts on after a restart, for the rest of its time', async () => {
    const before = fixture();
    await before.resolver.start();
    before.answers.set(A, ['a']);
    before.resolver.want([A, B]);
    await before.asking(2);
    await before.resolver.close();
    assert.deepEqual([...before.folder.keys()], [A]);
    const { resolver, list, clock, asking } = fixture([...before.folder.values()]);
    await resolver.start();
    clock.advance(A.ttlMs - 1000);
    resolver.want([A]);
    assert.deepEqual(list(A)?.entries, ['a'], 'at once');
    assert.ok(!resolver.isWaiting);
    await asking(1);
    clock.advance(1000);
    assert.equal(list(A)?.entries, undefined);
    await resolver.close();
  });

  test('that nobody wants any more is not kept', async () => {
    const { resolver, answers, folder, asking } = fixture();
    await resolver.start();
    answers.set(A, ['a']);
    resolver.want([A]);
    await asking(1);
    assert.equal(folder.size, 1);
    resolver.want([]);
    assert.equal(folder.size, 0);
    await resolver.close();
  });

  test('is tried again within seconds after a failure', async () => {
    const { resolver, answers, clock, list, asking } = fixture();
    await resolver.start();
    resolver.want([A]);
    await asking(1);
    assert.equal(list(A)?.entries, undefined);
    answers.set(A, ['a']);
    clock.advance(1000);
    await asking(2);
    assert.deepEqual(list(A)?.entries, ['a']);
    await resolver.close();
  });

  test('of one provider does not wait for that of another', async () => {
    const { resolver, answers, list } = fixture();
    await resolver.start();
    const slow = Promise.withResolvers<readonly string[]>();
    answers.set(A, slow.promise).set(B, ['b']);
    resolver.want([A, B]);
    await waitUntil(() => list(B)?.entries, 'the quick one');
    assert.equal(list(A), undefined, 'nothing is known of the slow one');
    assert.ok(resolver.isWaiting);
    resolver.want([B]);
    slow.resolve(['a']);
    await resolver.tried();
    assert.equal(list(A), undefined, 'what nobody wants any more is not taken in');
    await resolver.close();
  });

  test('over the limit is not fetched', async () => {
    const { resolver, asking, asked, lines } = fixture();
    await resolver.start();
    const count = LIMITS.mixerListsMax + 1;
    resolver.want(Array.from({ length: count }, (_, at) => ({ ...A, url: `https://x/${at}` })));
    await asking(LIMITS.mixerListsMax);
    assert.equal(asked.length, LIMITS.mixerListsMax);
    assert.match(lines.join(''), /too many lists/);
    await resolver.close();
  });
});
