// CA-1, CA-2, CA-3: what becomes of the Secrets of service accounts, whatever happens meanwhile.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Secret as SecretObject } from '#api/kinds/secret.ts';
import type { ApiObject } from '#api/object.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { ServiceAccountSecrets } from '#controllers/service-account-secrets.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { encodePem } from '#pki/pem.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { createTestRoot, TEST_TRUST_DOMAIN } from '../../test/kit/test-root.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const CA_NAMESPACE = 'istio-citadel-ns';
const SECRETS = 'citadel_secret_controller';

function object(kind: string, metadata: ApiObject['metadata'], rest: object = {}): ApiObject {
  return { apiVersion: 'v1', kind, metadata, ...rest } as ApiObject;
}
const account = (name: string, namespace = 'photo-ns') =>
  object('ServiceAccount', { name, namespace });
const secretKey = (name: string, namespace = 'photo-ns') =>
  ({ kind: 'secrets', namespace, name: `istio.${name}` }) as const;

/** A store with a namespace, an authority, and a controller that a test may start again. */
async function setUp(t: TestContext, { enabledByDefault = true } = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } });
  const store = new MemoryStore({ clock, random: systemRandom, log });
  const roots = [await createTestRoot(t, clock), await createTestRoot(t, clock)];
  const signers = roots.map((root) => new SelfSignedSigner(root));
  const [signer = assert.fail(), nextSigner = assert.fail()] = signers;
  const pemOf = ({ issuers }: SelfSignedSigner) => encodePem('CERTIFICATE', issuers[0].der);
  const world = { signer, bundle: pemOf(signer) as string, isBroken: false };
  const issuer = new Issuer(
    { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS },
    { signer: () => world.signer, clock, random: systemRandom },
  );
  const metrics = new Metrics();
  const start = async (declared = metrics): Promise<ServiceAccountSecrets> => {
    const controller = new ServiceAccountSecrets(
      { trustDomain: TEST_TRUST_DOMAIN, enabledByDefault, caNamespace: CA_NAMESPACE },
      {
        store,
        issuer: {
          issueForWorkload: (request) => {
            if (world.isBroken) throw new Error('no key today');
            return issuer.issueForWorkload(request);
          },
        },
        trustBundle: () => world.bundle,
        clock,
        random: systemRandom,
        log,
        metrics: declared,
      },
    );
    t.after(() => controller.close());
    await controller.start();
    return controller;
  };
  await store.create(object('Namespace', { name: 'photo-ns' }));
  const read = async (name: string, namespace?: string) =>
    (await store.get(secretKey(name, namespace))) as SecretObject | undefined;
  const written = (name: string, not?: SecretObject): Promise<SecretObject> =>
    waitUntil(async () => {
      const found = await read(name);
      if (!found || found.metadata.resourceVersion === not?.metadata.resourceVersion) return;
      return not && found.data?.['key.pem'] === not.data?.['key.pem'] ? undefined : found;
    }, `the Secret of ${name} is written`);
  const gone = (name: string): Promise<boolean> =>
    waitUntil(async () => !(await read(name)), `the Secret of ${name} is gone`);
  const count = async (name: string): Promise<number> => {
    const found = new RegExp(`^${SECRETS}_${name}_count (\\d+)$`, 'm').exec(await metrics.text());
    return Number(found?.[1] ?? Number.NaN);
  };
  const rotateRoot = (): void => {
    world.signer = nextSigner;
    world.bundle = `${pemOf(signer)}${pemOf(nextSigner)}`;
  };
  return { clock, lines, store, world, start, read, written, gone, count, rotateRoot };
}

const text = (secret: SecretObject, key: string): string =>
  Buffer.from(secret.data?.[key] ?? '', 'base64').toString();

/** Waits until the controller had time for everything that was put to it before. */
async function settled({ store, written }: Awaited<ReturnType<typeof setUp>>): Promise<void> {
  await store.create(account('last'));
  await written('last');
}

describe('the Secret of a service account', () => {
  it('is made for existing and new accounts, with key, chain and root of its identity', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('old'));
    await world.start();
    await world.store.create(account('new'));
    for (const name of ['old', 'new']) {
      const secret = await world.written(name);
      assert.equal(secret.type, 'istio.io/key-and-cert');
      const uris = parseCertificatesPem(text(secret, 'cert-chain.pem'))[0]?.names.uris;
      assert.deepEqual(uris, [`spiffe://cluster.local/ns/photo-ns/sa/${name}`]);
      assert.equal(text(secret, 'root-cert.pem'), world.world.bundle);
      assert.match(text(secret, 'key.pem'), /BEGIN PRIVATE KEY/);
      const owner = await world.store.get({ ...secretKey(name), kind: 'serviceaccounts', name });
      const [reference] = secret.metadata.ownerReferences ?? [];
      assert.equal(reference?.uid, owner?.metadata.uid);
    }
    assert.equal(await world.count('svc_acc_created_cert'), 2);
    assert.doesNotMatch(world.lines.join(), /PRIVATE KEY|LS0tLS1CRUdJTi/);
  });

  it('goes with its account, also when the account went while no server ran', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    await world.store.create(account('b'));
    const first = await world.start();
    await Promise.all(['a', 'b'].map((name) => world.written(name)));
    await world.store.delete({ ...secretKey('a'), kind: 'serviceaccounts', name: 'a' });
    await world.gone('a');
    assert.equal(await world.count('svc_acc_deleted_cert'), 1);
    await first.close();
    await world.store.delete({ ...secretKey('b'), kind: 'serviceaccounts', name: 'b' });
    await world.start(new Metrics());
    await world.gone('b');
  });

  it('is made again when somebody deletes it', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    await world.start();
    const before = await world.written('a');
    await world.store.delete(secretKey('a'));
    const after = await world.written('a', before);
    assert.notEqual(text(after, 'key.pem'), text(before, 'key.pem'));
    assert.equal(await world.count('secret_deleted_cert'), 1);
    assert.equal(await world.count('svc_acc_created_cert'), 1);
  });

  it('is renewed with a new key at half of its life, and left alone before', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    await world.start();
    const before = await world.written('a');
    world.clock.advance(9 * HOUR_MS);
    await settled(world);
    assert.deepEqual(await world.read('a'), before);
    for (let hour = 9; hour < 12; hour += 1) {
      world.clock.advance(HOUR_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const after = await world.written('a', before);
    assert.notEqual(text(after, 'key.pem'), text(before, 'key.pem'));
  });

  it('is renewed when the wall clock jumped, within the hour', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    await world.start();
    const before = await world.written('a');
    world.clock.jump(20 * HOUR_MS);
    world.clock.advance(HOUR_MS);
    await world.written('a', before);
  });

  it('survives a restart unchanged while it is good', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    await (await world.start()).close();
    const first = await world.start(new Metrics());
    const before = await world.written('a');
    await first.close();
    await world.start(new Metrics());
    await settled(world);
    assert.deepEqual(await world.read('a'), before);
  });

  it('is written anew when the roots of the mesh change', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    const controller = await world.start();
    const before = await world.written('a');
    world.rotateRoot();
    await controller.bundleChanged();
    const after = await world.written('a', before);
    assert.equal(text(after, 'root-cert.pem'), world.world.bundle);
  });

  it('is written anew whatever somebody changed in it', async (t) => {
    const world = await setUp(t);
    await world.store.create(account('a'));
    await world.store.create(account('b'));
    await world.start();
    const other = await world.written('b');
    const base64 = (value: string) => Buffer.from(value).toString('base64');
    const changes: readonly ((secret: SecretObject) => object)[] = [
      ({ data }) => ({ data: { ...data, 'key.pem': '' } }),
      ({ data }) => ({ data: { ...data, 'key.pem': base64('no key') } }),
      ({ data }) => ({ data: { ...data, 'key.pem': other.data?.['key.pem'] } }),
      ({ data }) => ({ data: { ...data, 'cert-chain.pem': other.data?.['cert-chain.pem'] } }),
      ({ data }) => ({ data: { ...data, 'root-cert.pem': base64('no root') } }),
      () => ({ data: other.data }),
      () => ({ data: {} }),
      () => ({ data: {}, immutable: true }),
      ({ metadata }) => ({ metadata: { ...metadata, ownerReferences: [] } }),
      ({ metadata }) => ({ metadata: { ...metadata, labels: {} } }),
    ];
    for (const change of changes) {
      const before = await world.written('a');
      const damaged = await world.store.update({ ...before, ...change(before) } as ApiObject);
      const after = await waitUntil(async () => {
        const found = await world.read('a');
        const version = found?.metadata.resourceVersion;
        return version === damaged.metadata.resourceVersion ? undefined : found;
      }, `it is put right after ${change}`);
      const chain = parseCertificatesPem(text(after, 'cert-chain.pem'));
      assert.match(chain[0]?.names.uris[0] ?? '', /\/sa\/a$/, String(change));
    }
  });

  it('is never put in the place of an object of somebody else', async (t) => {
    const world = await setUp(t);
    const { apiVersion, ...opaque } = object(
      'Secret',
      { name: 'istio.a', namespace: 'photo-ns' },
      { type: 'Opaque', data: { mine: '' } },
    );
    const before = await world.store.create({ apiVersion, ...opaque });
    await world.store.create(account('a'));
    await world.start();
    await settled(world);
    assert.deepEqual(await world.read('a'), before);
    await world.store.delete({ ...secretKey('a'), kind: 'serviceaccounts', name: 'a' });
    await waitUntil(() => world.lines.some((line) => /another object/.test(line)), 'it is said');
    assert.deepEqual(await world.read('a'), before);
  });

  it('is tried again, later and later, while nothing can be signed', async (t) => {
    const world = await setUp(t);
    world.world.isBroken = true;
    await world.store.create(account('a'));
    await world.start();
    await waitUntil(async () => (await world.count('csr_sign_err')) === 1, 'one failure');
    world.clock.advance(500);
    await waitUntil(async () => (await world.count('csr_sign_err')) === 2, 'two failures');
    world.world.isBroken = false;
    world.clock.advance(1000);
    await world.written('a');
  });
});

describe('namespaces', () => {
  it('are on or off by setting and by the labels of Citadel', async (t) => {
    for (const [enabledByDefault, labels, isManaged] of [
      [true, {}, true],
      [false, {}, false],
      [false, { 'ca.istio.io/override': 'true' }, true],
      [true, { 'ca.istio.io/override': 'false' }, false],
      [true, { 'ca.istio.io/override': 'nonsense' }, true],
      [false, { 'ca.istio.io/env': CA_NAMESPACE }, true],
      [true, { 'ca.istio.io/env': 'istio-system' }, false],
      [true, { 'ca.istio.io/override': 'false', 'ca.istio.io/env': CA_NAMESPACE }, false],
    ] as const) {
      const world = await setUp(t, { enabledByDefault });
      await world.store.create(object('Namespace', { name: 'it', labels }));
      await world.store.create(
        object('Namespace', { name: 'on', labels: { 'ca.istio.io/override': 'true' } }),
      );
      await world.store.create(account('a', 'it'));
      await world.store.create(account('z', 'on'));
      await world.start();
      await waitUntil(() => world.read('z', 'on'), 'the last one is written');
      const found = (await world.read('a', 'it')) !== undefined;
      assert.equal(found, isManaged, JSON.stringify({ enabledByDefault, labels }));
    }
  });

  it('that are turned on get Secrets, and lose ours, not those of others, when turned off', async (t) => {
    const world = await setUp(t, { enabledByDefault: false });
    const name = { name: 'photo-ns' };
    const foreign = object(
      'Secret',
      { name: 'istio.theirs', namespace: 'photo-ns' },
      { type: 'istio.io/key-and-cert', data: {} },
    );
    await world.store.create(foreign);
    await world.store.create(account('a'));
    await world.start();
    const label = (value: string) =>
      world.store.update(
        object('Namespace', { ...name, labels: { 'ca.istio.io/override': value } }),
      );
    await label('true');
    await world.written('a');
    await label('false');
    await world.gone('a');
    assert.ok(await world.read('theirs'));
  });
});

it('thousands of accounts do not hold up the thread', async (t) => {
  const world = await setUp(t);
  const names = Array.from({ length: 2000 }, (_, index) => `account-${index}`);
  await Promise.all(names.map((name) => world.store.create(account(name))));
  let written = 0;
  const watch = world.store.watch(
    { kinds: ['secrets'] },
    {
      onEvent: () => {
        written += 1;
      },
      onError: (error) => assert.fail(error),
    },
  );
  t.after(() => watch.close());
  await world.start();
  let turns = 0;
  while (written < names.length) {
    turns += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(turns > 100, `others had ${turns} turns meanwhile`);
});
