import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger as log } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { CrlPublisher } from '#ca/crl-publisher.ts';
import { KeySigner } from '#ca/key-signer.ts';
import { ListFiles } from '#ca/lists/list-files.ts';
import { type OtherList, readOtherList } from '#ca/lists/other-lists.ts';
import type { Signer } from '#ca/signer.ts';
import type { RevokedCertificate } from '#pki/build-crl.ts';
import { isListOf, parseCrlsPem } from '#pki/crl.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { type ChainAuthority, crlOf, makeAuthority } from '../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const DAY_MS = 86_400_000;
const REVOKED: RevokedCertificate = { serial: 'ab', revokedAt: 0, reason: 'unspecified' };

/** Signs with the last of these, the root first. */
function signerOf(...path: readonly [ChainAuthority, ...ChainAuthority[]]): Signer {
  const [first, ...above] = path.map(({ certificate }) => certificate).reverse();
  const privateKey = path.at(-1)?.keys.privateKey;
  assert.ok(first && privateKey);
  return new KeySigner({ issuers: [first, ...above], privateKey });
}

async function setUp(
  t: Parameters<typeof temporaryDirectory>[0],
  { isOn = true, isForced = false, isBelow = false } = {},
) {
  const clock = new FakeClock(Date.now());
  const root = makeAuthority();
  const below = makeAuthority({}, root);
  const signer = isBelow ? signerOf(root, below) : signerOf(root);
  const mesh = {
    signer,
    listSigners: [signer],
    roots: [{ state: 'active' as const, certificate: root.certificate }],
    bundlePem: root.pem,
    crlPem: '',
  };
  const revoked: RevokedCertificate[] = [];
  const others = { lists: [] as OtherList[], missing: [] as string[], upperPem: '', revoked: [] };
  let changes = 0;
  const metrics = new Metrics();
  const directory = join(temporaryDirectory(t), 'lists');
  const open = (registry: Metrics): CrlPublisher =>
    new CrlPublisher(
      { validityMs: 91 * DAY_MS, isOn, isForced },
      {
        roots: mesh as never,
        files: new ListFiles(directory, { log }),
        others: { news: () => others },
        revocations: () => revoked.length,
        revoked: () => revoked,
        onChange: () => {
          changes += 1;
        },
        clock,
        log,
        metrics: registry,
      },
    );
  const lists = open(metrics);
  t.after(() => lists.close());
  await lists.start();
  /** As after a restart. */
  const reopen = async () => {
    const again = open(new Metrics());
    t.after(() => again.close());
    await again.start();
    return again;
  };
  const use = (...signers: readonly Signer[]) => {
    mesh.listSigners = [...signers];
    mesh.signer = signers[0] ?? mesh.signer;
  };
  const gauge = async (name: string) =>
    Number(new RegExp(`bulwark_ca_${name} (\\d+)`).exec(await metrics.text())?.[1]);
  return {
    clock,
    root,
    below,
    mesh,
    revoked,
    others,
    lists,
    gauge,
    reopen,
    use,
    changes: () => changes,
  };
}

const listsIn = ({ content }: CrlPublisher) =>
  content.crlPem === '' ? [] : parseCrlsPem(content.crlPem);

/** The serials that a list of an authority names; undefined when it has no list. */
const namedBy = (lists: CrlPublisher, { certificate }: ChainAuthority) =>
  listsIn(lists).find((list) => isListOf(list, certificate))?.revokedSerials;

test('there is a list while something is revoked, and none before and after', async (t) => {
  const { lists, revoked, root, changes } = await setUp(t);
  assert.equal(lists.content.crlPem, '');
  assert.equal(changes(), 0);
  revoked.push(REVOKED);
  await lists.update();
  assert.deepEqual(namedBy(lists, root), ['ab']);
  assert.equal(changes(), 1);
  revoked.pop();
  await lists.update();
  assert.equal(lists.content.crlPem, '');
  assert.equal(changes(), 2);
});

test('a list is signed anew each day and lives long after', async (t) => {
  const { lists, revoked, clock, gauge } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  const first = lists.content.crlPem;
  const [list] = listsIn(lists);
  assert.ok(list);
  assert.ok(Math.abs((list.nextUpdateAt ?? 0) - clock.now() - 91 * DAY_MS) < 1000);
  clock.advance(DAY_MS);
  await waitUntil(() => lists.content.crlPem !== first, 'the next list');
  const age = await gauge('crl_age_seconds');
  assert.ok(age <= 120, `${age}`);
});

test('a list is signed anew when the clock was set back', async (t) => {
  const { lists, revoked, clock } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  clock.jump(-7 * DAY_MS);
  await lists.update();
  assert.ok((listsIn(lists)[0]?.thisUpdateAt ?? Number.NaN) <= clock.now());
});

test('every root whose leaves may live has its list, and they come and go with the roots', async (t) => {
  const { lists, revoked, root, mesh, use } = await setUp(t);
  revoked.push(REVOKED);
  const next = makeAuthority();
  use(mesh.signer, signerOf(next));
  mesh.roots.push({ state: 'active', certificate: next.certificate });
  await lists.update();
  assert.deepEqual(namedBy(lists, root), ['ab']);
  assert.deepEqual(namedBy(lists, next), ['ab']);
  // The key of the first is destroyed: its last list stays as long as it is trusted.
  use(signerOf(next));
  revoked.push({ ...REVOKED, serial: 'cd' });
  await lists.update();
  assert.deepEqual(namedBy(lists, root), ['ab']);
  assert.deepEqual(namedBy(lists, next), ['ab', 'cd']);
  mesh.roots.shift();
  await lists.update();
  assert.equal(namedBy(lists, root), undefined);
  assert.deepEqual(namedBy(lists, next), ['ab', 'cd']);
});

test('the list of a key that is gone outlives a restart, until nothing of it can live', async (t) => {
  const set = await setUp(t, { isBelow: true });
  const { lists, revoked, root, below: first, use, reopen, clock } = set;
  revoked.push(REVOKED);
  await lists.update();
  await lists.close();
  const second = makeAuthority({}, root);
  use(signerOf(root, second));
  const again = await reopen();
  assert.deepEqual(namedBy(again, first), ['ab']);
  assert.deepEqual(namedBy(again, second), ['ab']);
  assert.equal(again.content.isLeafOnly, true, 'the root did not sign one');
  clock.advance(92 * DAY_MS);
  await again.update();
  assert.equal(namedBy(again, first), undefined);
  assert.deepEqual(namedBy(again, second), ['ab']);
});

test('a signer is announced before it signs', async (t) => {
  const { lists, revoked, root, use } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  const next = makeAuthority({}, root);
  const signer = signerOf(root, next);
  await lists.announce(signer);
  assert.deepEqual(namedBy(lists, root), ['ab']);
  assert.deepEqual(namedBy(lists, next), ['ab']);
  use(signer);
  await lists.update();
  assert.deepEqual(namedBy(lists, next), ['ab']);
});

test('lists that came with the authority go out when they are complete', async (t) => {
  const { lists, revoked, root, below, mesh, clock } = await setUp(t, { isBelow: true });
  const nextUpdateAt = clock.now() + 30 * DAY_MS;
  mesh.crlPem = crlOf(root, ['f1'], { nextUpdateAt }) + crlOf(below, ['f2'], { nextUpdateAt });
  await lists.update();
  assert.deepEqual(namedBy(lists, root), ['f1'], 'though nothing is revoked here');
  assert.deepEqual(namedBy(lists, below), ['f2'], 'what it said is in ours');
  assert.equal(lists.content.isLeafOnly, false);
  revoked.push(REVOKED);
  await lists.update();
  assert.deepEqual(namedBy(lists, below), ['ab', 'f2']);
  clock.advance(29.5 * DAY_MS);
  await lists.update();
  assert.equal(namedBy(lists, root), undefined, 'it is about to end handshakes');
  assert.equal(lists.content.isLeafOnly, true);
  assert.deepEqual(namedBy(lists, below), ['ab', 'f2']);
});

test('where one authority has no list none is given out: it would end handshakes', async (t) => {
  const { lists, revoked, mesh, use, gauge } = await setUp(t);
  revoked.push(REVOKED);
  const { signer } = mesh;
  const next = signerOf(makeAuthority());
  use(signer, { issuers: next.issuers, sign: (one) => next.sign(one) });
  await lists.update();
  assert.equal(lists.content.crlPem, '');
  assert.equal(await gauge('crl_missing_issuers'), 1);
  use(signer);
  await lists.update();
  assert.notEqual(lists.content.crlPem, '');
  assert.equal(await gauge('crl_missing_issuers'), 0);
});

test('where others sign below the same root there is none', async (t) => {
  const { lists, revoked } = await setUp(t, { isOn: false });
  revoked.push(REVOKED);
  await lists.update();
  assert.equal(lists.content.crlPem, '');
});

test('a list does not outgrow its size, and what it leaves out is counted', async (t) => {
  const { lists, revoked, root, gauge } = await setUp(t);
  for (let serial = 1; serial <= 3005; serial += 1)
    revoked.push({ ...REVOKED, serial: serial.toString(16) });
  await lists.update();
  assert.equal(namedBy(lists, root)?.length, 3000);
  assert.equal(await gauge('crl_left_out_certificates'), 5);
  assert.ok(lists.content.crlPem.length < 256 * 1024, `${lists.content.crlPem.length}`);
});

test('when signing fails the old list stays, and it is tried again', async (t) => {
  const { lists, revoked, root, mesh, clock } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  const [signer] = mesh.listSigners;
  assert.ok(signer);
  const signCrl = signer.signCrl?.bind(signer);
  assert.ok(signCrl);
  signer.signCrl = () => Promise.reject(new Error('no key'));
  revoked.push({ ...REVOKED, serial: 'cd' });
  await lists.update();
  assert.deepEqual(namedBy(lists, root), ['ab']);
  signer.signCrl = signCrl;
  clock.advance(60_000);
  await waitUntil(() => namedBy(lists, root)?.length === 2, 'the list with both');
});

/** The list of a server below the same root, as it was taken. */
function otherList(root: ChainAuthority, serials: readonly string[]) {
  const site = makeAuthority({}, root);
  const issuers = [site.certificate, root.certificate] as const;
  const read = readOtherList({ pem: crlOf(site, serials), issuers, at: Date.now() });
  return { site, list: read as OtherList };
}

test('lists of other servers go out with the own, when either names somebody', async (t) => {
  const { lists, others, root, revoked } = await setUp(t);
  const { site, list } = otherList(root, []);
  others.lists = [list];
  revoked.push(REVOKED);
  await lists.update();
  assert.deepEqual([namedBy(lists, root), namedBy(lists, site)], [['ab'], []]);
  assert.equal(lists.content.isLeafOnly, false, 'there is one for each authority of each chain');
  revoked.pop();
  const other = otherList(root, ['cd']);
  others.lists = [other.list];
  await lists.update();
  assert.deepEqual([namedBy(lists, root), namedBy(lists, other.site)], [[], ['cd']]);
});

test('while another server may sign and sent no list none goes out, and that is told', async (t) => {
  const { lists, others, revoked, gauge } = await setUp(t);
  revoked.push(REVOKED);
  others.missing = ['edge.sites'];
  await lists.update();
  assert.equal(lists.content.crlPem, '');
  assert.deepEqual(lists.heldBackBy, ['edge.sites']);
  assert.equal(await gauge('crl_missing_issuers'), 1);
  others.missing = [];
  await lists.update();
  assert.ok(lists.content.crlPem !== '' && lists.heldBackBy.length === 0);
  const forced = await setUp(t, { isForced: true });
  forced.others.missing = ['edge.sites'];
  forced.revoked.push(REVOKED);
  await forced.lists.update();
  assert.notEqual(forced.lists.content.crlPem, '', 'unless that is asked for');
});
