import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLogger } from '#base/log.ts';
import { JoinTokenCleanup } from '#controllers/join-token-cleanup.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { makeJoinToken, storeWithAccount } from '../../test/kit/join-token.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const HOUR_MS = 3_600_000;

it('join tokens go an hour after they expired, and nothing else does', async (t) => {
  const clock = new FakeClock(Date.UTC(2026, 0));
  const { store, accountUid } = await storeWithAccount(t, clock);
  await makeJoinToken(store, { accountUid, expiresAt: clock.now() - 2 * HOUR_MS });
  const shown = await makeJoinToken(store, { accountUid, expiresAt: clock.now() - HOUR_MS / 2 });
  const good = await makeJoinToken(store, { accountUid, expiresAt: clock.now() + 9 * HOUR_MS });
  const metadata = { name: 'other', namespace: 'photo-ns' };
  await store.create({ apiVersion: 'v1', kind: 'Secret', metadata });
  const cleanup = new JoinTokenCleanup({ store, clock, log: silentLogger });
  t.after(() => cleanup.close());
  await cleanup.start();
  const names = async () => (await store.list('secrets')).items.map((item) => item.metadata.name);
  const nameOf = (token: string) => `bulwark-join-${token.split('_')[2]}`;
  assert.deepEqual(await names(), [nameOf(shown), nameOf(good), 'other'].sort());
  clock.advance(HOUR_MS);
  await waitUntil(async () => (await names()).length === 2, 'the expired token goes');
  assert.deepEqual(await names(), [nameOf(good), 'other'].sort());
});
