import { test } from 'node:test';
import { certificateRevocation } from '#api/kinds/certificate-revocation.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { RevocationExpiry } from '#controllers/revocation-expiry.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const HOUR_MS = 3_600_000;
const certificateLifeMsMax = 48 * HOUR_MS;
const identity = 'spiffe://cluster.local/ns/web/sa/thief';

test('revocations go when they are over, and not before', async (t) => {
  const clock = new FakeClock();
  const store = new MemoryStore({ clock, random: systemRandom, log: silentLogger });
  const expiry = new RevocationExpiry(
    { certificateLifeMsMax },
    { store, clock, log: silentLogger },
  );
  t.after(() => expiry.close());
  const at = (ms: number): string => new Date(clock.now() + ms).toISOString();
  const { apiVersion, kind, id } = certificateRevocation;
  const specs = {
    forever: { identity },
    'for-a-day': { identity, notAfter: at(24 * HOUR_MS) },
    'for-an-hour': { serial: '1', notAfter: at(HOUR_MS) },
    unknown: { serial: '2' },
  };
  for (const [name, spec] of Object.entries(specs))
    await store.create({ apiVersion, kind, metadata: { name }, spec } as never);
  const left = async () => (await store.list(id)).items.map(({ metadata }) => metadata.name);
  const becomes = (...names: readonly string[]) =>
    waitUntil(async () => String(await left()) === String(names), `${names} are left`);
  await expiry.start();
  await becomes('for-a-day', 'for-an-hour', 'forever', 'unknown');
  const pass = async (ms: number): Promise<void> => {
    await waitUntil(() => clock.waitingMs.length > 0, 'the next look is planned');
    clock.advance(ms);
  };
  await pass(2 * HOUR_MS);
  await becomes('for-a-day', 'forever', 'unknown');
  await pass(30 * HOUR_MS);
  await becomes('forever', 'unknown');
  await pass(20 * HOUR_MS);
  await becomes('forever');
});
