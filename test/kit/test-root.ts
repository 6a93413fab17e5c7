import type { TestContext } from 'node:test';
import type { Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { loadOrCreateRoot } from '#ca/root-files.ts';
import type { RootKey } from '#ca/self-signed-signer.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { temporaryDirectory } from './temp-directory.ts';

/** The trust domain of tests. */
export const TEST_TRUST_DOMAIN = parseTrustDomain('cluster.local');
/** A year, the life of a root of tests unless they say otherwise. */
export const ROOT_TTL_MS = 365 * 86_400_000;

/** A new root as the server makes it, in files of its own. */
export function createTestRoot(
  test: Pick<TestContext, 'after'>,
  clock: Clock,
  ttlMs = ROOT_TTL_MS,
): Promise<RootKey> {
  return loadOrCreateRoot(
    { directory: temporaryDirectory(test), trustDomain: TEST_TRUST_DOMAIN, ttlMs },
    { clock, random: systemRandom, log: silentLogger },
  );
}
