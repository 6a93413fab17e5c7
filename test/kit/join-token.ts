import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import {
  formatJoinToken,
  JOIN_ID_BYTES,
  JOIN_SECRET_BYTES,
  type JoinTokenBinding,
  joinTokenObject,
} from '#api/join-token.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import type { Store } from '#store/store.ts';
import type { FakeClock } from '../fakes/fake-clock.ts';

/** A store with the service account photo-ns/db. */
export async function storeWithAccount(t: Pick<TestContext, 'after'>, clock: FakeClock) {
  const store = new MemoryStore({ clock, random: systemRandom, log: silentLogger });
  t.after(() => store.close());
  const account = await store.create({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'db', namespace: 'photo-ns' },
  });
  return { store, accountUid: account.metadata.uid ?? '' };
}

/** Keeps a new join token of photo-ns/db and gives its text. */
export async function makeJoinToken(
  store: Store,
  binding: Pick<JoinTokenBinding, 'accountUid' | 'expiresAt' | 'cidr'>,
): Promise<string> {
  const id = randomBytes(JOIN_ID_BYTES).toString('hex');
  const secret = randomBytes(JOIN_SECRET_BYTES);
  const namespace = 'photo-ns';
  await store.create(joinTokenObject(id, secret, { namespace, serviceAccount: 'db', ...binding }));
  return formatJoinToken({ namespace, id }, secret);
}
