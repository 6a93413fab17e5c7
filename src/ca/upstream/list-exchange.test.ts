// What a server below takes from the one above of revocation lists, and what it gives.
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import type { OwnLists } from '#ca/lists/other-lists.ts';
import { type ListAnswer, readListOffer } from '#ca/sites/list-messages.ts';
import { ListExchange } from '#ca/upstream/list-exchange.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { type ChainAuthority, crlOf, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const DAY_MS = 86_400_000;
const NOTHING: ListAnswer = { digest: 'none', lists: [], isComplete: true, revoked: [] };
const REVOKED = {
  name: 'stolen',
  serial: 'ab',
  identity: undefined,
  issuedTo: undefined,
  reason: 'keyCompromise',
  revokedAt: 1,
} as const;

async function setUp(t: TestContext) {
  const clock = new FakeClock(Date.now());
  const root = makeAuthority();
  const site = makeAuthority({}, root);
  const own = makeAuthority({}, root);
  const above = { answer: '', failure: undefined as Error | undefined };
  const offers: NonNullable<ReturnType<typeof readListOffer>>[] = [];
  const client = {
    sign: async ({ lists = '' }: { readonly lists?: string }) => {
      offers.push(readListOffer(lists) ?? assert.fail('no offer'));
      if (above.failure) throw above.failure;
      return [above.answer];
    },
    close: () => {},
  };
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const path = join(temporaryDirectory(t), 'lists.json');
  const metrics = new Metrics();
  const trusted = [root.certificate];
  const open = (registry = new Metrics()) =>
    ListExchange.open(
      { path, address: 'above.example:15012' },
      {
        ...{ client, clock, random: systemRandom, log, metrics: registry },
        credential: async () => new Secret('good'),
        roots: () => trusted,
      },
    );
  const exchange = await open(metrics);
  t.after(() => exchange.close());
  const tell = async (changes: Partial<ListAnswer>): Promise<void> => {
    above.answer = JSON.stringify({ ...NOTHING, digest: `${Math.random()}`, ...changes });
    await exchange.announce();
  };
  const age = async () => Number(/age_seconds (\d+)/.exec(await metrics.text())?.[1]);
  return { clock, root, site, own, above, offers, exchange, open, tell, path, lines, trusted, age };
}

/** A list and the chain of who signed it, as the server above sends them. */
function told(
  path: readonly [ChainAuthority, ...ChainAuthority[]],
  serials: readonly string[],
  options: Parameters<typeof crlOf>[2] = {},
) {
  return { chain: path.map(({ pem }) => pem).join(''), pem: crlOf(path[0], serials, options) };
}

describe('what the server above says of revocation lists', () => {
  it('is taken: lists on roots that are trusted, and what it revokes', async (t) => {
    const { exchange, tell, root, site } = await setUp(t);
    assert.equal(exchange.news().missing.length, 1, 'nothing was heard yet');
    let news = 0;
    exchange.onNews(() => {
      news += 1;
    });
    await tell({ lists: [told([root], ['a']), told([site, root], ['b'])], revoked: [REVOKED] });
    const { lists, missing, revoked } = exchange.news();
    assert.deepEqual(
      lists.map(({ revokedSerials }) => revokedSerials),
      [['a'], ['b']],
    );
    assert.deepEqual([missing, news], [[], 1]);
    assert.deepEqual(revoked, [{ ...REVOKED, name: 'above:stolen', uid: '', from: 'above' }]);
  });

  it('is left out for authorities on a root that is not trusted, until it is', async (t) => {
    const { exchange, tell, trusted } = await setUp(t);
    const next = makeAuthority();
    const liar = makeAuthority({}, makeAuthority());
    const lists = [told([next], []), told([liar, next], ['b'])];
    await tell({ lists });
    assert.deepEqual(exchange.news().lists, []);
    trusted.push(next.certificate);
    exchange.rootsChanged();
    assert.equal(exchange.news().lists.length, 1, 'the liar does not stand on it');
  });

  it('keeps lists from going out when one of an authority that is trusted is bad', async (t) => {
    const { exchange, tell, root, site, lines } = await setUp(t);
    const wrong = { chain: told([site, root], []).chain, pem: crlOf(root, []) };
    const future = told([site, root], [], { thisUpdateAt: Date.now() + DAY_MS });
    for (const bad of [wrong, future]) {
      await tell({ lists: [told([root], []), bad] });
      assert.equal(exchange.news().missing.length, 1);
    }
    assert.ok(lines.some((line) => line.includes('cannot be used')));
    await tell({ lists: [told([root], [])], isComplete: false });
    assert.equal(exchange.news().missing.length, 1, 'the server above says so itself');
    await tell({ lists: [told([root], [])], isComplete: false, missing: ['edge.sites'] });
    assert.deepEqual(exchange.news().missing, ['edge.sites'], 'and who it is');
  });

  it('may have lists of authorities further up, which keep nothing back', async (t) => {
    const { exchange, tell, root, site } = await setUp(t);
    const good = told([root], ['ab']);
    const future = told([root], [], { thisUpdateAt: Date.now() + DAY_MS });
    const forged = { chain: root.pem, pem: crlOf(site, []) };
    const upper = [good, future, forged, told([makeAuthority()], [])];
    await tell({ lists: [told([site, root], [])], upper });
    assert.equal(exchange.news().upperPem, good.pem);
    assert.deepEqual(exchange.news().missing, []);
  });

  it('never goes back to an older list', async (t) => {
    const { exchange, tell, root, lines } = await setUp(t);
    await tell({ lists: [told([root], ['a'], { number: 2 })] });
    await tell({ lists: [told([root], [], { number: 1 })] });
    assert.deepEqual(exchange.news().lists[0]?.revokedSerials, ['a']);
    assert.ok(lines.some((line) => line.includes('an older revocation list from above')));
    await tell({ lists: [told([root], [], { number: 3 })] });
    assert.deepEqual(exchange.news().lists[0]?.revokedSerials, []);
  });

  it('is not taken when it does not read', async (t) => {
    const { exchange, above, tell, root } = await setUp(t);
    await tell({ lists: [told([root], ['a'])] });
    const bad = [
      { ...REVOKED, serial: 'zz' },
      { ...REVOKED, reason: 'because' },
      { ...REVOKED, identity: 'x' },
    ];
    for (const answer of ['{', '[]', ...bad.map((one) => ({ ...NOTHING, revoked: [one] }))]) {
      above.answer = typeof answer === 'string' ? answer : JSON.stringify(answer);
      await exchange.announce();
    }
    assert.equal(exchange.news().lists.length, 1);
  });

  it('stays while it is away, over a restart, and says how old it is', async (t) => {
    const { exchange, tell, root, open, path, age, clock, above } = await setUp(t);
    await tell({ lists: [told([root], ['a'])], revoked: [REVOKED] });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    above.failure = new BulwarkError('AGENT_CA_UNREACHABLE', 'no answer');
    clock.advance(3_600_000);
    await exchange.announce();
    assert.equal(await age(), 3600);
    const again = await open();
    assert.deepEqual(again.news().missing, []);
    assert.equal(again.news().revoked.length, 1);
    clock.advance(29 * DAY_MS);
    assert.deepEqual(again.news().lists, [], 'a day before its end it is not given out any more');
    assert.equal(again.news().missing.length, 1);
    writeFileSync(path, '{', { mode: 0o600 });
    assert.equal((await open()).news().missing.length, 1);
  });
});

describe('the server above', () => {
  const ownOf = (...authorities: readonly (readonly ChainAuthority[])[]): OwnLists => ({
    lists: authorities.map(([first, ...rest]) => {
      assert.ok(first);
      const issuers = [first.certificate, ...rest.map(({ certificate }) => certificate)] as const;
      return { issuers, pem: crlOf(first, []), thisUpdateAt: 0, nextUpdateAt: 0 };
    }),
    isComplete: true,
    upper: [],
    revoked: [],
  });

  it('gets the lists of intermediates that are alive, at once, and once', async (t) => {
    const { exchange, offers, own, root } = await setUp(t);
    const over = makeAuthority({ notBeforeAt: 0, notAfterAt: Date.now() - 1000 }, root);
    const lists = ownOf([own, root], [over, root], [root]);
    exchange.publishOwn(lists);
    await waitUntil(() => offers.length === 1, 'they went up');
    assert.deepEqual(offers[0]?.lists, [lists.lists[0]?.pem]);
    assert.equal(offers[0]?.isWaiting, false);
    exchange.publishOwn(lists);
    await exchange.announce();
    assert.equal(offers.length, 2, 'the same is not sent again');
    assert.equal(offers[1]?.isArriving, true);
  });

  it('is asked again and again, each question waiting, and later when it fails', async (t) => {
    const { exchange, offers, above, lines, clock } = await setUp(t);
    await exchange.start();
    await waitUntil(() => offers.length === 1, 'the first question');
    assert.equal(offers[0]?.isWaiting, true);
    above.failure = new BulwarkError('AGENT_CA_UNREACHABLE', 'no answer');
    await waitUntil(() => clock.advance(100) ?? offers.length >= 2, 'the next');
    await waitUntil(() => lines.some((line) => line.includes('the last ones stay')), 'it is told');
  });
});
