import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { namespaceKey } from '#apiserver/namespace-content.ts';
import { NamespaceLife, newNamespace } from '#apiserver/namespace-life.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const INITIAL = ['default', 'istio-system'];

function started(test: TestContext, store = newStore()) {
  const deps = { store, clock, random: systemRandom, log: silentLogger };
  const life = new NamespaceLife({ initialNamespaces: INITIAL }, deps);
  test.after(() => life.close());
  return { store, life, started: life.start() };
}

const clock = new FakeClock();
const newStore = () => new MemoryStore({ clock, random: systemRandom, log: silentLogger });
const account = (namespace: string) => ({ kind: 'serviceaccounts', namespace, name: 'default' });
const namespaceOf = (name: string): ApiObject =>
  newNamespace({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
const map = (name: string, namespace: string, finalizers: string[] = []): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, ...(finalizers.length > 0 ? { finalizers } : {}) },
});

async function markDeleted(store: MemoryStore, name: string): Promise<void> {
  const namespace = await store.get(namespaceKey(name));
  assert.ok(namespace);
  const metadata = { ...namespace.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
  await store.update({ ...namespace, metadata });
}

const gone = (store: MemoryStore, name: string) =>
  waitUntil(async () => !(await store.get(namespaceKey(name))), `${name} goes`);

it('makes the first namespaces, each with its label, phase and account', async (test) => {
  const { store, started: ready } = started(test);
  await ready;
  for (const name of INITIAL) {
    const namespace = await store.get(namespaceKey(name));
    assert.deepEqual(namespace?.metadata.labels, { 'kubernetes.io/metadata.name': name });
    assert.deepEqual((namespace as { status?: unknown }).status, { phase: 'Active' });
    assert.ok(await store.get(account(name)));
  }
});

it('gives new namespaces their account, and gives it back when it was deleted', async (test) => {
  const { store, started: ready } = started(test);
  await ready;
  await store.create(namespaceOf('a'));
  const made = await waitUntil(() => store.get(account('a')), 'the account');
  await store.delete(account('a'));
  const again = await waitUntil(() => store.get(account('a')), 'the account again');
  assert.notEqual(again.metadata.uid, made.metadata.uid);
});

it('deletes a namespace with all that is in it, and nothing else', async (test) => {
  const { store, started: ready } = started(test);
  await ready;
  for (const name of ['a', 'b']) {
    await store.create(namespaceOf(name));
    for (const each of ['x', 'y', 'z']) await store.create(map(each, name));
  }
  await markDeleted(store, 'a');
  await gone(store, 'a');
  assert.equal((await store.list('configmaps', { namespace: 'a' })).items.length, 0);
  assert.equal((await store.list('serviceaccounts', { namespace: 'a' })).items.length, 0);
  assert.equal((await store.list('configmaps', { namespace: 'b' })).items.length, 3);
});

it('waits for what finalizers hold, and says so meanwhile', async (test) => {
  const { store, started: ready } = started(test);
  await ready;
  await store.create(namespaceOf('a'));
  await store.create(map('held', 'a', ['example.com/hold']));
  await markDeleted(store, 'a');
  const messages = await waitUntil(async () => {
    const { status } = (await store.get(namespaceKey('a'))) as {
      status?: { conditions?: never[] };
    };
    return status?.conditions?.map(({ message }) => message);
  }, 'conditions');
  assert.deepEqual(messages, [
    'Some resources are remaining: configmaps. has 1 resource instances',
    'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
  ]);
  const held = await store.get({ kind: 'configmaps', namespace: 'a', name: 'held' });
  assert.ok(held?.metadata.deletionTimestamp);
  await store.delete({ kind: 'configmaps', namespace: 'a', name: 'held' });
  await gone(store, 'a');
});

it('loses no race: what is created while a namespace goes is refused or goes too', async (test) => {
  const { store, started: ready } = started(test);
  await ready;
  await store.create(namespaceOf('a'));
  let refused = 0;
  const within = namespaceKey('a');
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let count = 0; count < 50; count += 1) {
      await store.create(map(`m${writer}-${count}`, 'a'), { within }).catch((error: unknown) => {
        refused += 1;
        const known = ['API_FORBIDDEN', 'API_NOT_FOUND'] as const;
        assert.ok(known.some((code) => isBulwarkError(error, code)));
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const deletion = new Promise<void>((resolve) => setTimeout(resolve, 5)).then(() =>
    markDeleted(store, 'a'),
  );
  await Promise.all([...writers, deletion]);
  await gone(store, 'a');
  assert.ok(refused > 0);
  assert.equal((await store.list('configmaps', { namespace: 'a' })).items.length, 0);
});

it('goes on with a deletion that a restart interrupted', async (test) => {
  const store = newStore();
  await store.create(namespaceOf('a'));
  await store.create(map('x', 'a'));
  await markDeleted(store, 'a');
  const { started: ready } = started(test, store);
  await ready;
  await gone(store, 'a');
});

it('tries again when the store could not write', async (test) => {
  const store = newStore();
  let failing = false;
  const create = store.create.bind(store);
  store.create = (object, options) =>
    failing && object.kind === 'ServiceAccount'
      ? Promise.reject(new BulwarkError('FILES_DISK_FULL', 'full'))
      : create(object, options);
  const { started: ready } = started(test, store);
  await ready;
  failing = true;
  await store.create(namespaceOf('a'));
  await waitUntil(() => clock.waitingMs.length > 0, 'a timer for the next try');
  assert.equal(await store.get(account('a')), undefined);
  failing = false;
  clock.advance(60_000);
  await waitUntil(() => store.get(account('a')), 'the account');
});
