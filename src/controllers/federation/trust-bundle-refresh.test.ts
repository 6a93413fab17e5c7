// Bundles of other trust domains are fetched as often as they ask for, only from who they should
// come from, and the last good one outlives whatever an endpoint does later.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { type TrustBundle, type TrustBundleSpec, trustBundle } from '#api/kinds/trust-bundle.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { TrustBundleRefresh } from '#controllers/federation/trust-bundle-refresh.ts';
import { AddressRules } from '#jwks/address-rules.ts';
import { bundleDocument } from '#spiffe/bundle.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { startBundleServer } from '../../../test/kit/bundle-server.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const DOMAIN = 'other.test';
const ENDPOINT_ID = `spiffe://${DOMAIN}/ns/istio-system/sa/bundle-endpoint`;
const authority = testAuthority('other');
const next = testAuthority('next');
const KEY = { kind: trustBundle.id, namespace: '', name: 'other' };

function bundleText(roots: readonly string[], sequence: number, refreshHintSeconds = 60): string {
  const ders = roots.map((root) => new X509Certificate(root).raw);
  return JSON.stringify(
    bundleDocument({ roots: ders, jwtAuthorities: [], sequence, refreshHintSeconds }),
  );
}

async function setUp(
  t: TestContext,
  options: { id?: string; ip?: string; allowed?: string[] } = {},
) {
  const clock = new FakeClock(Date.now());
  const store = new MemoryStore({ clock, random: systemRandom, log: silentLogger });
  const metrics = new Metrics();
  const certificate = authority.issue(
    options.ip ? { ipAddresses: [options.ip] } : { uris: [options.id ?? ENDPOINT_ID] },
  );
  const server = await startBundleServer(t, certificate);
  server.body = bundleText([authority.root], 1);
  const rules = new AddressRules({ blocked: [], allowed: options.allowed ?? ['127.0.0.0/8'] });
  const refresh = new TrustBundleRefresh(
    { rules, own: ['own.test'] },
    { store, clock, random: systemRandom, log: silentLogger, metrics },
  );
  t.after(() => refresh.close());
  const create = (spec: Partial<TrustBundleSpec> = {}) =>
    store.create({
      apiVersion: trustBundle.apiVersion,
      kind: trustBundle.kind,
      metadata: { name: KEY.name },
      spec: {
        trustDomain: DOMAIN,
        bundle: authority.root,
        endpoint: { url: server.url, profile: 'https_spiffe', endpointSpiffeId: ENDPOINT_ID },
        ...spec,
      },
    } as TrustBundle);
  const status = async () => ((await store.get(KEY)) as TrustBundle | undefined)?.status;
  const becomes = (holds: (status: NonNullable<TrustBundle['status']>) => boolean) =>
    waitUntil(async () => {
      const now = await status();
      return now && holds(now) ? now : undefined;
    }, 'the status');
  /** Lets the next look come, and waits until it is over. */
  const look = async (): Promise<void> => {
    const [waitMs = 0] = clock.waitingMs;
    clock.advance(waitMs);
    await waitUntil(() => clock.waitingMs.length > 0, 'the look is over');
  };
  await refresh.start();
  return { clock, store, server, refresh, create, status, becomes, look, metrics };
}

describe('the bundle of another trust domain', () => {
  it('is fetched from who serves it by its identity, and again as it asks for', async (t) => {
    const { server, create, becomes, look, clock, metrics } = await setUp(t);
    await create();
    await look();
    const first = await becomes(({ sequence }) => sequence === 1);
    assert.equal(first.url, server.url);
    assert.equal(first.roots, 1);
    assert.ok(first.lastFetched && first.notAfter);
    assert.deepEqual([...clock.waitingMs], [60_000]);
    server.body = bundleText([authority.root, next.root], 2, 5);
    await look();
    await becomes(({ sequence, roots }) => sequence === 2 && roots === 2);
    assert.deepEqual([...clock.waitingMs], [5000]);
    const text = await metrics.text();
    assert.match(text, /bulwark_federation_fetches_total\{result="taken"\} 2/);
    const at = String(clock.now() / 1000);
    assert.ok(text.includes(`bulwark_federation_oldest_fetch_timestamp ${at}`));
  });

  it('stays as it was last good, and the attempts come in seconds', async (t) => {
    const { server, create, becomes, look, clock } = await setUp(t);
    await create();
    await look();
    const good = await becomes(({ sequence }) => sequence === 1);
    const faults: readonly [(change: typeof server) => void, RegExp][] = [
      [(change) => Object.assign(change, { status: 503 }), /503/],
      [(change) => Object.assign(change, { status: 302 }), /leads elsewhere/],
      [(change) => Object.assign(change, { status: 200, body: 'nonsense' }), /no JSON/],
      [(change) => Object.assign(change, { body: 'x'.repeat(2 * 1024 * 1024) }), /more than/],
      [(change) => Object.assign(change, { body: bundleText([next.root], 0) }), /older than 1/],
    ];
    for (const [change, why] of faults) {
      change(server);
      await look();
      const failed = await becomes(({ error }) => why.test(error ?? ''));
      assert.equal(failed.bundle, good.bundle);
      assert.equal(failed.lastFetched, good.lastFetched);
      assert.ok((clock.waitingMs[0] ?? 0) <= 60_000);
    }
    server.body = bundleText([authority.root, next.root], 2);
    await look();
    assert.equal((await becomes(({ sequence }) => sequence === 2)).error, undefined);
  });

  it('may revoke its roots, and is not served by a root that it no longer has', async (t) => {
    const { server, create, becomes, look } = await setUp(t);
    server.body = bundleText([next.root], 2);
    await create();
    await look();
    await becomes(({ sequence }) => sequence === 2);
    server.body = bundleText([authority.root], 3);
    await look();
    const { sequence, error } = await becomes((status) => status.error !== undefined);
    assert.equal(sequence, 2);
    assert.match(error ?? '', /certificate|signature|verify|issuer/);
  });

  it('is not taken from another identity, even one of the same trust domain', async (t) => {
    const { create, becomes, look } = await setUp(t, { id: `spiffe://${DOMAIN}/ns/a/sa/b` });
    await create();
    await look();
    const { bundle, error } = await becomes((status) => status.error !== undefined);
    assert.match(error ?? '', /the server is spiffe:\/\/other\.test\/ns\/a\/sa\/b, not/);
    assert.equal(bundle, undefined);
  });

  it('is taken by a certificate for the host where the profile says so', async (t) => {
    const { create, becomes, look, server } = await setUp(t, { ip: '127.0.0.1' });
    const { root: caCertificates } = authority;
    await create({ endpoint: { url: server.url, profile: 'https_web', caCertificates } });
    await look();
    await becomes(({ sequence }) => sequence === 1);
  });

  it('is not taken by a certificate of the web whose root nobody named', async (t) => {
    const { create, becomes, look, server } = await setUp(t, { ip: '127.0.0.1' });
    await create({ endpoint: { url: server.url, profile: 'https_web' } });
    await look();
    await becomes(({ error }) => /certificate/.test(error ?? ''));
  });

  it('is not fetched from addresses that are not to be asked, by number or by name', async (t) => {
    const { create, becomes, look, server, store } = await setUp(t, { allowed: [] });
    await create();
    await look();
    await becomes(({ error }) => /127\.0\.0\.1 may not be asked/.test(error ?? ''));
    await store.delete(KEY);
    const url = server.url.replace('127.0.0.1', 'localhost');
    await create({ endpoint: { url, profile: 'https_spiffe', endpointSpiffeId: ENDPOINT_ID } });
    await look();
    await becomes(({ error }) => /may not be asked/.test(error ?? ''));
    assert.equal(server.asked, 0);
  });

  it('is given up on after a time when there is no answer', async (t) => {
    const { create, becomes, server, clock } = await setUp(t);
    server.isSilent = true;
    await create();
    clock.advance(0);
    await waitUntil(() => server.asked === 1, 'the request');
    clock.advance(10_000);
    await becomes(({ error }) => /no answer/.test(error ?? ''));
  });

  it('is never fetched for a trust domain of the mesh', async (t) => {
    const { create, becomes, server, clock } = await setUp(t);
    await create({ trustDomain: 'own.test' });
    clock.advance(0);
    await becomes(({ error }) => /trust domain of this mesh/.test(error ?? ''));
    assert.equal(server.asked, 0);
  });

  it('is told of also where it was written by hand', async (t) => {
    const { store, clock, becomes } = await setUp(t);
    await store.create({
      apiVersion: trustBundle.apiVersion,
      kind: trustBundle.kind,
      metadata: { name: KEY.name },
      spec: { trustDomain: DOMAIN, bundle: `${authority.root}${next.root}` },
    } as TrustBundle);
    clock.advance(0);
    const { notAfter, lastFetched } = await becomes((status) => status.roots === 2);
    assert.ok(notAfter && lastFetched === undefined);
  });
});
