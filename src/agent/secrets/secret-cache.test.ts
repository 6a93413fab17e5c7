import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { createAgentMetrics } from '#agent/metrics.ts';
import { SecretCache } from '#agent/secrets/secret-cache.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { BulwarkError } from '#base/errors.ts';
import { Lanes } from '#base/lanes.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const IDENTITY = parseSpiffeId('spiffe://cluster.local/ns/photo-ns/sa/web');
const AWAY = new BulwarkError('AGENT_CA_UNREACHABLE', 'no answer');

/** A cache whose clock, authority and luck belong to the test. */
function setUp(t: TestContext) {
  const clock = new FakeClock();
  const authority = new FakeAuthority(clock);
  const secrets: WorkloadSecret[] = [];
  const failures: unknown[] = [];
  const logLines: string[] = [];
  const metrics = new Metrics();
  let refusals = 0;
  const cache = new SecretCache(
    {
      identity: IDENTITY,
      namespace: 'photo-ns',
      serviceAccount: 'web',
      audience: 'istio-ca',
      ttlMs: 3_600_000,
      onSecret: (secret) => secrets.push(secret),
      onFailure: (error) => failures.push(error),
    },
    {
      authority,
      lanes: new Lanes(1),
      tokens: {
        description: 'a test token',
        token: async () => new Secret('header.e30.signature'),
        wasRefused: () => {
          refusals += 1;
        },
      },
      clock,
      random: { bytes: () => new Uint8Array(), fraction: () => 0.5 },
      log: createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } }),
      metrics: createAgentMetrics(metrics),
    },
  );
  t.after(() => cache.close());
  /** Waits until the cache sleeps again: everything that time caused has happened. */
  const settled = (attempts: number): Promise<unknown> =>
    waitUntil(
      () => secrets.length + failures.length >= attempts && clock.waitingMs.length > 0,
      `${attempts} attempts, then a pause`,
    );
  return {
    cache,
    clock,
    authority,
    secrets,
    failures,
    logLines,
    metrics,
    settled,
    refusals: () => refusals,
  };
}

describe('the secret cache', () => {
  it('gets a certificate for its identity and the key that it made', async (t) => {
    const { cache, secrets, settled, authority } = setUp(t);
    await cache.start();
    await settled(1);
    const secret = secrets[0] ?? assert.fail('no secret');
    const leaf = new X509Certificate(secret.chainPem);
    assert.equal(leaf.subjectAltName, `URI:${IDENTITY}`);
    const key = createPrivateKey(secret.privateKeyPem.reveal());
    assert.ok(leaf.publicKey.equals(createPublicKey(key)));
    assert.equal(secret.rootsPem, authority.rootPem);
    assert.equal(cache.current, secret);
    assert.deepEqual(authority.tokens, ['header.e30.signature']);
  });

  it('renews at half life with another key, not before', async (t) => {
    const { cache, clock, secrets, settled } = setUp(t);
    await cache.start();
    await settled(1);
    clock.advance(1_799_000);
    await settled(1);
    assert.equal(secrets.length, 1);
    for (let waited = 0; waited < 60_000 && secrets.length < 2; waited += 1000) {
      clock.advance(1000);
      await settled(1);
    }
    await settled(2);
    assert.equal(secrets.length, 2);
    assert.notEqual(secrets[0]?.serial, secrets[1]?.serial);
    assert.notEqual(secrets[0]?.privateKeyPem.reveal(), secrets[1]?.privateKeyPem.reveal());
    assert.equal(cache.status.renewals, 1);
  });

  it('notices that the clock was set forward, without a timer that says so', async (t) => {
    const { cache, clock, secrets, settled } = setUp(t);
    await cache.start();
    await settled(1);
    clock.jump(2_000_000);
    clock.advance(60_000);
    await settled(2);
    assert.equal(secrets.length, 2);
  });

  it('keeps the old certificate while the authority is away, even when it expires', async (t) => {
    const { cache, clock, authority, secrets, failures, settled } = setUp(t);
    await cache.start();
    await settled(1);
    authority.failure = AWAY;
    clock.jump(2_000_000);
    clock.advance(60_000);
    await settled(2);
    assert.equal(cache.current, secrets[0]);
    clock.jump(2_000_000);
    clock.advance(60_000);
    await settled(3);
    assert.equal(cache.current, secrets[0]);
    assert.match(cache.status.lastError ?? '', /no answer/);
    assert.ok(cache.status.failures >= 2);

    authority.failure = undefined;
    const attempts = secrets.length + failures.length;
    clock.advance(60_000);
    await settled(attempts + 1);
    assert.equal(cache.current, secrets[1]);
    assert.equal(cache.status.failures, 0);
    assert.equal(cache.status.lastError, undefined);
  });

  it('retries with growing pauses, shorter ones while there is no certificate', async (t) => {
    const { cache, clock, authority, settled } = setUp(t);
    authority.failure = AWAY;
    await cache.start();
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 9; attempt += 1) {
      await settled(attempt);
      const pause = clock.waitingMs[0] ?? 0;
      pauses.push(pause);
      clock.advance(pause);
    }
    assert.deepEqual(pauses, [150, 300, 600, 1200, 2400, 4800, 5000, 5000, 5000]);
  });

  it('never sleeps past the end of a short certificate', async (t) => {
    const { cache, clock, authority, settled } = setUp(t);
    authority.lifetimeMs = 8000;
    await cache.start();
    await settled(1);
    authority.failure = AWAY;
    for (let attempt = 2; attempt <= 8; attempt += 1) {
      clock.advance(clock.waitingMs[0] ?? 0);
      await settled(attempt);
      assert.ok((clock.waitingMs[0] ?? 0) <= 1000);
    }
  });

  it('does not use a certificate that says somebody else, and says why', async (t) => {
    const { cache, authority, failures, settled } = setUp(t);
    authority.identity = 'spiffe://cluster.local/ns/photo-ns/sa/other';
    await cache.start();
    await settled(1);
    assert.equal(cache.current, undefined);
    assert.match(String(failures[0]), /sa\/other where .*sa\/web was expected/);
  });

  it('tells the token source when its token was refused, and explains the token', async (t) => {
    const { cache, authority, failures, settled, refusals } = setUp(t);
    authority.failure = new BulwarkError('CA_UNAUTHENTICATED', 'did not accept the token');
    await cache.start();
    await settled(1);
    assert.equal(refusals(), 1);
    const [failure] = failures;
    assert.ok(failure instanceof BulwarkError);
    assert.match(failure.message, /of a test token/);
    assert.match(failure.remedy ?? '', /audience is undefined, not istio-ca/);
  });

  it('counts its requests and writes no secret into the log', async (t) => {
    const { cache, authority, clock, metrics, logLines, secrets, settled } = setUp(t);
    authority.failure = AWAY;
    await cache.start();
    await settled(1);
    authority.failure = undefined;
    clock.advance(200);
    await settled(2);
    const text = await metrics.text();
    assert.match(text, /num_outgoing_requests\{request_type="csr"\} 2/);
    assert.match(text, /num_failed_outgoing_requests\{request_type="csr"\} 1/);
    assert.match(text, /num_outgoing_retries\{request_type="csr"\} 1/);
    assert.match(logLines.join(''), new RegExp(secrets[0]?.serial ?? 'none'));
    assert.doesNotMatch(logLines.join(''), /PRIVATE KEY|header\.e30/);
  });
});
