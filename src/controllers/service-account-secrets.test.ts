// CA-1, CA-2, CA-3: what becomes of the Secrets of service accounts, whatever happens meanwhile.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Secret as SecretObject } from '#api/kinds/secret.ts';
import type { ApiObject } from '#api/object.ts';
import { Metrics } from '#base/metrics.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import {
  accountObject,
  coreObject,
  secretKey,
  setUpAccountSecrets,
} from '../../test/kit/account-secrets.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const HOUR_MS = 3_600_000;

const text = (secret: SecretObject, key: string): string =>
  Buffer.from(secret.data?.[key] ?? '', 'base64').toString();

/** Waits until the controller had time for everything that was put to it before. */
async function settled({
  store,
  written,
}: Awaited<ReturnType<typeof setUpAccountSecrets>>): Promise<void> {
  await store.create(accountObject('last'));
  await written('last');
}

describe('the Secret of a service account', () => {
  it('is made for existing and new accounts, with key, chain and root of its identity', async (t) => {
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('old'));
    await world.start();
    await world.store.create(accountObject('new'));
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
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
    await world.store.create(accountObject('b'));
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
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
    await world.start();
    const before = await world.written('a');
    await world.store.delete(secretKey('a'));
    const after = await world.written('a', before);
    assert.notEqual(text(after, 'key.pem'), text(before, 'key.pem'));
    assert.equal(await world.count('secret_deleted_cert'), 1);
    assert.equal(await world.count('svc_acc_created_cert'), 1);
  });

  it('is renewed with a new key at half of its life, and left alone before', async (t) => {
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
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
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
    await world.start();
    const before = await world.written('a');
    world.clock.jump(20 * HOUR_MS);
    world.clock.advance(HOUR_MS);
    await world.written('a', before);
  });

  it('survives a restart unchanged while it is good', async (t) => {
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
    await (await world.start()).close();
    const first = await world.start(new Metrics());
    const before = await world.written('a');
    await first.close();
    await world.start(new Metrics());
    await settled(world);
    assert.deepEqual(await world.read('a'), before);
  });

  it('is written anew when the roots of the mesh change', async (t) => {
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
    const controller = await world.start();
    const before = await world.written('a');
    world.rotateRoot();
    await controller.bundleChanged();
    const after = await world.written('a', before);
    assert.equal(text(after, 'root-cert.pem'), world.world.bundle);
  });

  it('is written anew whatever somebody changed in it', async (t) => {
    const world = await setUpAccountSecrets(t);
    await world.store.create(accountObject('a'));
    await world.store.create(accountObject('b'));
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
    const world = await setUpAccountSecrets(t);
    const { apiVersion, ...opaque } = coreObject(
      'Secret',
      { name: 'istio.a', namespace: 'photo-ns' },
      { type: 'Opaque', data: { mine: '' } },
    );
    const before = await world.store.create({ apiVersion, ...opaque });
    await world.store.create(accountObject('a'));
    await world.start();
    await settled(world);
    assert.deepEqual(await world.read('a'), before);
    await world.store.delete({ ...secretKey('a'), kind: 'serviceaccounts', name: 'a' });
    await waitUntil(() => world.lines.some((line) => /another object/.test(line)), 'it is said');
    assert.deepEqual(await world.read('a'), before);
  });

  it('is tried again, later and later, while nothing can be signed', async (t) => {
    const world = await setUpAccountSecrets(t);
    world.world.isBroken = true;
    await world.store.create(accountObject('a'));
    await world.start();
    await waitUntil(async () => (await world.count('csr_sign_err')) === 1, 'one failure');
    world.clock.advance(500);
    await waitUntil(async () => (await world.count('csr_sign_err')) === 2, 'two failures');
    world.world.isBroken = false;
    world.clock.advance(1000);
    await world.written('a');
  });
});
