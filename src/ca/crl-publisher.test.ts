import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { CrlPublisher } from '#ca/crl-publisher.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { Signer } from '#ca/signer.ts';
import type { RevokedCertificate } from '#pki/build-crl.ts';
import { parseCrlsPem } from '#pki/crl.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { createTestRoot } from '../../test/kit/test-root.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const DAY_MS = 86_400_000;
const REVOKED: RevokedCertificate = { serial: 'ab', revokedAt: 0, reason: 'unspecified' };

async function setUp(t: Parameters<typeof createTestRoot>[0]) {
  const clock = new FakeClock();
  const root = await createTestRoot(t, clock);
  const mesh = {
    signer: new SelfSignedSigner(root) as Signer,
    roots: [{ state: 'active' as const, certificate: root.certificate }],
  };
  const revoked: RevokedCertificate[] = [];
  let changes = 0;
  const metrics = new Metrics();
  const lists = new CrlPublisher(
    { validityMs: 91 * DAY_MS },
    {
      roots: mesh as never,
      revocations: () => revoked.length,
      revoked: () => revoked,
      onChange: () => {
        changes += 1;
      },
      clock,
      log: silentLogger,
      metrics,
    },
  );
  t.after(() => lists.close());
  await lists.start();
  return { clock, mesh, revoked, lists, metrics, changes: () => changes };
}

test('there is a list while something is revoked, and none before and after', async (t) => {
  const { lists, revoked, changes } = await setUp(t);
  assert.equal(lists.pem, '');
  assert.equal(changes(), 0);
  revoked.push(REVOKED);
  await lists.update();
  assert.deepEqual(parseCrlsPem(lists.pem)[0]?.revokedSerials, ['ab']);
  assert.equal(changes(), 1);
  revoked.pop();
  await lists.update();
  assert.equal(lists.pem, '');
  assert.equal(changes(), 2);
});

test('a list is signed anew each day and lives long after', async (t) => {
  const { lists, revoked, clock, metrics } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  const first = lists.pem;
  assert.equal(parseCrlsPem(first)[0]?.nextUpdateAt, clock.now() + 91 * DAY_MS);
  clock.advance(DAY_MS);
  await waitUntil(() => lists.pem !== first, 'the next list');
  const age = Number(/bulwark_ca_crl_age_seconds (\d+)/.exec(await metrics.text())?.[1]);
  assert.ok(age <= 120, `${age}`);
});

test('without one issuer of everything there is no list: it would end handshakes', async (t) => {
  const { lists, revoked, mesh } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  const [root] = mesh.roots;
  assert.ok(root);
  mesh.roots.push(root);
  assert.equal(lists.pem, '', 'at once');
  mesh.roots.pop();
  mesh.signer = { issuers: mesh.signer.issuers, sign: (one) => mesh.signer.sign(one) };
  await lists.update();
  assert.equal(lists.pem, '', 'of a signer that cannot sign one');
});

test('when signing fails the old list stays, and it is tried again', async (t) => {
  const { lists, revoked, mesh, clock } = await setUp(t);
  revoked.push(REVOKED);
  await lists.update();
  const first = lists.pem;
  const { signer } = mesh;
  const signCrl = signer.signCrl?.bind(signer);
  signer.signCrl = () => Promise.reject(new Error('no key'));
  revoked.push({ ...REVOKED, serial: 'cd' });
  await lists.update();
  assert.equal(lists.pem, first);
  assert.ok(signCrl);
  signer.signCrl = signCrl;
  clock.advance(60_000);
  await waitUntil(() => lists.pem !== first, 'the list with both');
  assert.deepEqual(parseCrlsPem(lists.pem)[0]?.revokedSerials, ['ab', 'cd']);
});
