import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { describeStore } from '../../test/contract/store-contract.ts';

describeStore('MemoryStore', {
  open: async (options) =>
    new MemoryStore({ clock: systemClock, random: systemRandom, log: silentLogger }, options),
});
