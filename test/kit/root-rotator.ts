// Rotates the root of a folder for ever, for tests that kill it: one line for each step that is
// over.
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { RootSet } from '#ca/roots/root-set.ts';
import { nextStep } from '#ca/roots/root-states.ts';
import { ROOT_TTL_MS, TEST_TRUST_DOMAIN } from './test-root.ts';

const [directory = ''] = process.argv.slice(2);
const roots = await RootSet.open(
  { directory, trustDomain: TEST_TRUST_DOMAIN, ttlMs: ROOT_TTL_MS },
  { clock: systemClock, random: systemRandom, log: silentLogger },
);
for (;;) {
  const step = nextStep(roots.roots);
  await roots.step(step);
  process.stdout.write(`${step} ${roots.roots[0]?.certificate.serial}\n`);
}
