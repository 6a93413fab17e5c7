// A thousand identities that are renewed at once: each gets one new certificate for one new key,
// and the authority is never asked by more than take turns.
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { createAgentMetrics } from '#agent/metrics.ts';
import { SecretCache } from '#agent/secrets/secret-cache.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { Lanes } from '#base/lanes.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const IDENTITIES = 1000;
const LANES = 8;
const REASON = { reason: 'Requested', message: 'a test wants it' } as const;

/** An authority that knows how many asked at one time. */
class BusyAuthority extends FakeAuthority {
  most = 0;
  #asking = 0;

  override async sign(...args: Parameters<FakeAuthority['sign']>): Promise<readonly string[]> {
    this.#asking += 1;
    this.most = Math.max(this.most, this.#asking);
    await new Promise(setImmediate);
    this.#asking -= 1;
    return super.sign(...args);
  }
}

async function openCaches(t: TestContext) {
  const clock = new FakeClock();
  const authority = new BusyAuthority(clock);
  const token = new Secret('header.e30.signature');
  const deps = {
    authority,
    clock,
    lanes: new Lanes(LANES),
    tokens: { description: '', token: async () => token, wasRefused: () => {} },
    random: { bytes: () => new Uint8Array(), fraction: () => 0.5 },
    log: silentLogger,
    metrics: createAgentMetrics(new Metrics()),
  };
  const secrets: WorkloadSecret[][] = [];
  const caches = Array.from({ length: IDENTITIES }, (_, index) => {
    const own: WorkloadSecret[] = [];
    secrets.push(own);
    const serviceAccount = `app-${index}`;
    const options = {
      identity: parseSpiffeId(`spiffe://cluster.local/ns/a/sa/${serviceAccount}`),
      ...{ namespace: 'a', serviceAccount, audience: 'istio-ca', ttlMs: 3_600_000 },
      onSecret: (secret: WorkloadSecret) => void own.push(secret),
      onFailure: (error: unknown) => assert.fail(String(error)),
    };
    const cache = new SecretCache(options, deps);
    t.after(() => cache.close());
    return cache;
  });
  for (const cache of caches) await cache.start();
  const settled = (count: number): Promise<unknown> =>
    waitUntil(
      () => secrets.every((own) => own.length >= count) && clock.waitingMs.length === IDENTITIES,
      `${count} certificates for each`,
    );
  await settled(1);
  return { caches, secrets, authority, settled };
}

describe('a thousand identities that are renewed at once', () => {
  it('get a new certificate each, for a new key of its own, once', async (t) => {
    const { caches, secrets, authority, settled } = await openCaches(t);
    for (const cache of caches) cache.renewSoon(REASON, 0);
    await settled(2);
    const all = secrets.flat();
    assert.equal(all.length, 2 * IDENTITIES);
    assert.equal(new Set(all.map(({ serial }) => serial)).size, 2 * IDENTITIES);
    assert.equal(new Set(all.map((made) => made.privateKeyPem.reveal())).size, 2 * IDENTITIES);
    assert.equal(authority.tokens.length, 2 * IDENTITIES);
    assert.ok(authority.most <= LANES, `${authority.most} asked at one time`);
    for (const [index, [, secret]] of secrets.entries()) {
      assert.ok(secret);
      const certificate = new X509Certificate(secret.chainPem);
      assert.equal(certificate.subjectAltName, `URI:spiffe://cluster.local/ns/a/sa/app-${index}`);
      assert.ok(certificate.checkPrivateKey(createPrivateKey(secret.privateKeyPem.reveal())));
      assert.equal(caches[index]?.current, secret);
      assert.equal(caches[index]?.status.renewals, 1);
    }
  });
});
