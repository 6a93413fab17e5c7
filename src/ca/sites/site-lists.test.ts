// Lists of revoked certificates that servers below send: each speaks for its own authorities alone,
// nothing goes back, and what was sent stays.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { serialPrefix } from '#ca/serial.ts';
import { type ListAnswer, readListAnswer } from '#ca/sites/list-messages.ts';
import { SiteLists } from '#ca/sites/site-lists.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { type ChainAuthority, crlOf, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const DAY_MS = 86_400_000;
const EDGE = parseSpiffeId('spiffe://cluster.local/ns/sites/sa/edge');
const OTHER = parseSpiffeId('spiffe://cluster.local/ns/sites/sa/other');
const NEVER = new AbortController().signal;
const isRefused = (error: unknown): boolean => isBulwarkError(error, 'CA_LISTS_REFUSED');

/** A serial that only this authority gives. */
const serialOf = ({ certificate }: ChainAuthority, number: number): string =>
  `1${serialPrefix(certificate)}${String(number).padStart(22, '0')}`;

async function setUp(t: TestContext) {
  const clock = new FakeClock(Date.now());
  const root = makeAuthority();
  const edge = makeAuthority({}, root);
  const other = makeAuthority({}, root);
  const authorities = [
    { identity: EDGE, issuers: [edge.certificate, root.certificate] as const },
    { identity: OTHER, issuers: [other.certificate, root.certificate] as const },
  ];
  const all = [EDGE, OTHER].map((identity) => ({
    identity,
    notAfterAt: edge.certificate.notAfterAt,
    report: undefined,
  }));
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const directory = join(temporaryDirectory(t), 'site-lists');
  const metrics = new Metrics();
  const open = (registry = new Metrics()) =>
    SiteLists.open(
      { directory },
      {
        sites: { all: () => all, authorities: () => authorities },
        clock,
        log,
        metrics: registry,
      },
    );
  const lists = await open(metrics);
  const listOf = (by: ChainAuthority, serials: readonly string[], number = 1, more = {}) =>
    crlOf(by, serials, { number, thisUpdateAt: clock.now() - 1000, ...more });
  const send = (identity: typeof EDGE, pems: readonly string[], more: object = {}) =>
    lists.exchange(
      identity,
      JSON.stringify({ lists: pems, known: '', isWaiting: false, isArriving: false, ...more }),
      NEVER,
    );
  const answer = async (identity: typeof EDGE): Promise<ListAnswer> =>
    readListAnswer(await send(identity, [])) ?? assert.fail('no answer');
  const refusedCount = async () => Number(/refused_total (\d+)/.exec(await metrics.text())?.[1]);
  return { clock, root, edge, other, lists, open, listOf, send, answer, lines, refusedCount };
}

describe('the list of a server below', () => {
  it('is given out, and named to the other servers with its serials', async (t) => {
    const { lists, edge, other, listOf, send, answer } = await setUp(t);
    let news = 0;
    lists.onNews(() => {
      news += 1;
    });
    assert.deepEqual(
      lists.news().missing,
      ['edge.sites', 'other.sites'],
      'of neither there is a list',
    );
    const serial = serialOf(edge, 7);
    await send(EDGE, [listOf(edge, [serial])]);
    await send(OTHER, [listOf(other, [])]);
    assert.equal(news, 2);
    assert.deepEqual(lists.news().missing, []);
    assert.deepEqual(
      lists.news().lists.map(({ revokedSerials }) => revokedSerials),
      [[serial], []],
    );
    assert.deepEqual(
      lists.news().revoked.map((one) => [one.serial, one.from]),
      [[serial, 'edge.sites']],
    );
    const { lists: told, isComplete } = await answer(OTHER);
    assert.deepEqual([told.length, isComplete], [1, true], 'not its own');
  });

  it('is refused when another authority signed it: its root, or that of another site', async (t) => {
    const { lists, root, other, edge, listOf, send, refusedCount } = await setUp(t);
    for (const by of [root, other, makeAuthority()]) {
      const pems = [listOf(edge, []), listOf(by, ['ab'])];
      await assert.rejects(send(EDGE, pems), isRefused);
    }
    const forged = { ...edge, keys: other.keys };
    await assert.rejects(send(EDGE, [listOf(forged, ['ab'])]), isRefused);
    assert.deepEqual(lists.news().lists, [], 'nothing of such a message is taken');
    assert.equal(await refusedCount(), 4);
  });

  it('is refused when it is over, from the future, no list, or more than one', async (t) => {
    const { clock, edge, listOf, send } = await setUp(t);
    const now = clock.now();
    const bad = [
      listOf(edge, [], 1, { nextUpdateAt: now - 1000 }),
      listOf(edge, [], 1, { thisUpdateAt: now + 60_000 }),
      'nonsense',
      `${listOf(edge, [])}${listOf(edge, [], 2)}`,
    ];
    for (const pem of bad) await assert.rejects(send(EDGE, [pem]), isRefused);
    await assert.rejects(send(EDGE, Array(33).fill(listOf(edge, []))), isRefused);
  });

  it('is not replaced by an older one', async (t) => {
    const { lists, edge, listOf, send, lines, refusedCount } = await setUp(t);
    const before = listOf(edge, [], 5);
    await send(EDGE, [listOf(edge, [serialOf(edge, 1)], 6)]);
    await send(EDGE, [before]);
    await send(EDGE, [listOf(edge, [], 6)]);
    assert.equal(lists.news().lists[0]?.number, 6n);
    assert.equal(lists.news().revoked.length, 1);
    assert.equal(await refusedCount(), 2);
    assert.ok(lines.some((line) => line.includes('an older revocation list')));
    await send(EDGE, [listOf(edge, [], 7)]);
    assert.deepEqual(lists.news().revoked, [], 'a newer one takes back');
  });

  it('takes nobody off whom its site cannot have certified', async (t) => {
    const { lists, edge, other, listOf, send } = await setUp(t);
    const own = serialOf(edge, 1);
    const foreign = [serialOf(other, 1), `1${'0'.repeat(32)}`, 'ab'];
    await send(EDGE, [listOf(edge, [...foreign, own])]);
    assert.deepEqual(
      lists.news().revoked.map(({ serial }) => serial),
      [own],
    );
  });

  it('pushes nobody else out of the filters', async (t) => {
    const { lists, edge, other, listOf, send } = await setUp(t);
    const many = Array.from({ length: 3000 }, (_, index) => serialOf(edge, index));
    await send(EDGE, [listOf(edge, many)]);
    await send(OTHER, [listOf(other, [serialOf(other, 1)])]);
    const from = lists.news().revoked.map((one) => one.from);
    assert.equal(from.length, 301);
    assert.ok(from.includes('other.sites'));
    const tooMany = [...many, serialOf(edge, 3000)];
    await assert.rejects(send(EDGE, [listOf(edge, tooMany, 2)]), isRefused);
  });

  it('stays while its site is away, over a restart too, until it ends', async (t) => {
    const { clock, edge, other, listOf, send, open } = await setUp(t);
    await send(EDGE, [listOf(edge, [serialOf(edge, 1)])]);
    await send(OTHER, [listOf(other, [])]);
    const again = await open();
    assert.deepEqual(again.news().missing, []);
    assert.equal(again.news().revoked.length, 1);
    clock.advance(29 * DAY_MS + 1);
    assert.deepEqual(again.news().lists, [], 'a day before its end it is not given out any more');
    assert.notDeepEqual(again.news().missing, []);
  });
});

describe('a server below that waits', () => {
  it('is answered as soon as something is new', async (t) => {
    const { edge, listOf, send, answer } = await setUp(t);
    const { digest: known } = await answer(OTHER);
    const waiting = send(OTHER, [], { known, isWaiting: true });
    await send(EDGE, [listOf(edge, [])]);
    assert.equal(readListAnswer(await waiting)?.lists.length, 1);
  });

  it('is answered with nothing when its time is over, or when it does not listen', async (t) => {
    const { lists, clock, send, answer } = await setUp(t);
    const { digest: known } = await answer(OTHER);
    const waiting = send(OTHER, [], { known, isWaiting: true });
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(8000);
    assert.equal(await waiting, '');
    const gone = AbortSignal.abort();
    const offer = JSON.stringify({ lists: [], known, isWaiting: true });
    assert.equal(await lists.exchange(OTHER, offer, gone), '');
  });

  it('learns what this one revokes, but not what it said itself', async (t) => {
    const { lists, answer } = await setUp(t);
    const one = { uid: '', identity: undefined, issuedTo: undefined, revokedAt: 1 } as const;
    const reason = 'unspecified';
    const revoked = [
      { ...one, name: 'stolen', serial: 'ab', reason },
      { ...one, name: 'site:other.sites:cd', serial: 'cd', reason, from: 'other.sites' },
    ] as const;
    lists.publishOwn({ lists: [], isComplete: true, upper: [], revoked });
    const names = async (of: typeof EDGE) => (await answer(of)).revoked.map(({ name }) => name);
    assert.deepEqual(await names(OTHER), ['stolen']);
    assert.deepEqual(await names(EDGE), ['stolen', 'site:other.sites:cd']);
  });

  it('gets the lists of authorities further up', async (t) => {
    const { lists, root, answer } = await setUp(t);
    const upper = [{ issuers: [root.certificate] as const, pem: crlOf(root, ['ab']) }];
    lists.publishOwn({ lists: [], isComplete: true, upper, revoked: [] });
    assert.deepEqual((await answer(OTHER)).upper, [{ chain: root.pem, pem: upper[0]?.pem }]);
  });

  it('gets its answer only when workloads here have a list that is to come into use', async (t) => {
    const { lists, edge, listOf, send } = await setUp(t);
    const taken = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    lists.whenTaken(() => {
      asked.resolve();
      return taken.promise;
    });
    let isAnswered = false;
    const arriving = send(EDGE, [listOf(edge, [])], { isArriving: true }).then(() => {
      isAnswered = true;
    });
    await asked.promise;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isAnswered, false);
    taken.resolve();
    await arriving;
  });
});
