import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { SqliteStore } from '#store/sqlite-store.ts';

// A process that writes into the store at argv[2] until it is killed, and prints the name of each
// config map once its creation was acknowledged.

const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
const store = new SqliteStore({ path: process.argv[2] ?? '' }, deps);
await store.start();
const writer = async (prefix: string): Promise<void> => {
  for (let count = 0; ; count += 1) {
    const metadata = { name: `${prefix}-${count}`, namespace: 'a' };
    const { resourceVersion } = (
      await store.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata })
    ).metadata;
    process.stdout.write(`${metadata.name} ${resourceVersion}\n`);
  }
};
const round = process.pid;
await Promise.all(Array.from({ length: 8 }, (_, index) => writer(`w${round}-${index}`)));
