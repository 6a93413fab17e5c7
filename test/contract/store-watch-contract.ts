import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Store } from '#store/store.ts';
import {
  type ConfigMap,
  configMap,
  dataOf,
  keyOf,
  policy,
  Recorder,
  type StoreSubject,
  turn,
  withCode,
} from '../kit/store-subject.ts';

/** Watches: order, filters, closing, observers that fail, list and watch without a gap. */
export function describeWatches({ open }: StoreSubject): void {
  it('tells a watch every later change in order, with the state before', async () => {
    const store = await open();
    await store.create(configMap('before'));
    const recorder = new Recorder();
    store.watch({}, recorder);
    await store.create(configMap('x', { k: '1' }));
    await store.update(configMap('x', { k: '2' }));
    await store.delete(keyOf('x'));
    assert.deepEqual(recorder.said, ['ADDED x', 'MODIFIED x', 'DELETED x']);
    const [, modified, deleted] = recorder.events;
    assert.deepEqual(dataOf(modified?.previous), { k: '1' });
    assert.deepEqual(dataOf(deleted?.object), { k: '2' });
    assert.equal(deleted?.object.metadata.resourceVersion, deleted?.resourceVersion);
  });

  it('tells a watch only the kinds and the namespace it asked for', async () => {
    const store = await open();
    const [byKind, byNamespace] = [new Recorder(), new Recorder()];
    store.watch({ kinds: ['configmaps'] }, byKind);
    store.watch({ namespace: 'b' }, byNamespace);
    await store.create(configMap('x'));
    await store.create(configMap('y', {}, 'b'));
    await store.create(policy('p', {}));
    assert.deepEqual(byKind.said, ['ADDED x', 'ADDED y']);
    assert.deepEqual(byNamespace.said, ['ADDED y']);
  });

  it('says nothing after a watch was closed, also from within an event', async () => {
    const store = await open();
    const recorder = new Recorder();
    const watch = store.watch(
      {},
      {
        onEvent: (event) => {
          recorder.onEvent(event);
          watch.close();
        },
        onError: (error) => recorder.onError(error),
      },
    );
    await Promise.all([store.create(configMap('x')), store.create(configMap('y'))]);
    watch.close();
    await store.create(configMap('z'));
    assert.deepEqual(recorder.said, ['ADDED x']);
    assert.deepEqual(recorder.errors, []);
  });

  it('ends the watch of an observer that throws, and harms no other', async () => {
    const store = await open();
    const [before, after, broken] = [new Recorder(), new Recorder(), new Recorder()];
    store.watch({}, before);
    store.watch(
      {},
      {
        onEvent: () => {
          throw new Error('observer');
        },
        onError: (error) => broken.onError(error),
      },
    );
    store.watch({}, after);
    await store.create(configMap('x'));
    await store.create(configMap('y'));
    assert.deepEqual(before.said, ['ADDED x', 'ADDED y']);
    assert.deepEqual(after.said, ['ADDED x', 'ADDED y']);
    assert.equal(broken.errors.length, 1);
    assert.ok(withCode('API_EXPIRED')(broken.errors[0]));
  });

  it('loses and repeats nothing between list and watch under concurrent writes', async () => {
    const store = await open();
    const recorders: { readonly known: Set<string>; readonly recorder: Recorder }[] = [];
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let turnNumber = 0; turnNumber < 25; turnNumber += 1) {
        const name = `w${writer}-${turnNumber}`;
        await store.create(configMap(name));
        if (turnNumber % 5 === 0) {
          const { items, resourceVersion } = await store.list('configmaps');
          await turn();
          const recorder = new Recorder();
          store.watch({ from: resourceVersion }, recorder);
          recorders.push({ known: new Set(items.map((o) => o.metadata.name)), recorder });
        }
      }
    });
    await Promise.all(writers);
    await turn();
    assert.equal(recorders.length, 40);
    for (const { known, recorder } of recorders) {
      const versions = recorder.events.map((event) => Number(event.resourceVersion));
      assert.deepEqual(
        versions,
        [...new Set(versions)].sort((a, b) => a - b),
      );
      const names = recorder.events.map(({ object }) => object.metadata.name);
      assert.equal(new Set([...known, ...names]).size, 200);
      assert.equal(known.size + names.length, 200);
    }
  });
}

/** Watches that go on from an older version. */
export function describeResumingWatches({ open }: StoreSubject): void {
  it('goes on from an older version, then with what is new, without a seam', async () => {
    const store = await open();
    const { metadata } = await store.create(configMap('x'));
    await store.create(configMap('y'));
    const recorder = new Recorder();
    store.watch({ from: metadata.resourceVersion ?? '' }, recorder);
    await store.create(configMap('z'));
    await turn();
    assert.deepEqual(recorder.said, ['ADDED y', 'ADDED z']);
  });

  it('refuses to go on from a version that is no longer known, or not yet', async () => {
    const store = await open({ history: { changesMax: 10, sizeMax: 1_000_000 } });
    const { metadata } = await store.create(configMap('x'));
    for (let k = 0; k < 20; k += 1) await store.update(configMap('x', { k: String(k) }));
    for (const from of [metadata.resourceVersion ?? '', '99999']) {
      const recorder = new Recorder();
      store.watch({ from }, recorder);
      await turn();
      assert.deepEqual(recorder.said, []);
      assert.ok(withCode('API_EXPIRED')(recorder.errors[0]));
    }
    const recorder = new Recorder();
    const recent = String(Number(await store.currentVersion()) - 5);
    store.watch({ from: recent }, recorder);
    await turn();
    assert.equal(recorder.events.length, 5);
    assert.throws(() => store.watch({ from: 'abc' }, recorder), withCode('API_BAD_REQUEST'));
  });

  it('remembers fewer changes when they are large', async () => {
    const store = await open({ history: { changesMax: 1000, sizeMax: 20_000 } });
    const { metadata } = await store.create(configMap('x'));
    for (let k = 0; k < 20; k += 1) {
      await store.update(configMap('x', { k: String(k).repeat(2000) }));
    }
    const recorder = new Recorder();
    store.watch({ from: metadata.resourceVersion ?? '' }, recorder);
    await turn();
    assert.ok(withCode('API_EXPIRED')(recorder.errors[0]));
    assert.equal((await store.list('configmaps')).items.length, 1);
  });
}

/** What is there after a store was closed and opened again. */
export function describeReopening(
  { open }: StoreSubject,
  reopen: (store: Store) => Promise<Store>,
): void {
  it('finds every object again after it was reopened, and counts on', async () => {
    let store = await open();
    await store.create(configMap('x', { k: 'v' }));
    await store.create(policy('p', { mtls: { mode: 'STRICT' } }));
    await store.updateStatus(policy('p', {}, { seen: 1 }));
    await store.create(configMap('gone'));
    await store.delete(keyOf('gone'));
    const [maps, policies] = [
      await store.list('configmaps'),
      await store.list('peerauthentications.security.istio.io'),
    ];
    store = await reopen(store);
    assert.deepEqual(await store.list('configmaps'), maps);
    assert.deepEqual(await store.list('peerauthentications.security.istio.io'), policies);
    const next = await store.create(configMap('gone'));
    assert.ok(Number(next.metadata.resourceVersion) > Number(maps.resourceVersion));
  });

  it('goes on with a watch from before the reopening, deletions included', async () => {
    let store = await open();
    const { metadata } = await store.create(configMap('x', { k: '1' }));
    await store.update(configMap('x', { k: '2' }));
    await store.delete(keyOf('x'));
    store = await reopen(store);
    const recorder = new Recorder();
    store.watch({ from: metadata.resourceVersion ?? '' }, recorder);
    await store.create(configMap('y'));
    await turn();
    assert.deepEqual(recorder.said, ['MODIFIED x', 'DELETED x', 'ADDED y']);
    assert.deepEqual(dataOf(recorder.events[0]?.previous), { k: '1' });
    assert.deepEqual(dataOf(recorder.events[1]?.object), { k: '2' });
    const at = { at: metadata.resourceVersion ?? '' };
    assert.equal((await store.list('configmaps', at)).items.length, 1);
  });

  it('knows after a reopening which versions it had forgotten before', async () => {
    let store = await open({ history: { changesMax: 10, sizeMax: 1_000_000 } });
    const { metadata } = await store.create(configMap('x'));
    await store.create(configMap('kept', { k: 'v' }));
    for (let k = 0; k < 30; k += 1) {
      await store.update(configMap('x', { k: String(k) }));
      await store.create(configMap(`short-${k}`));
      await store.delete(keyOf(`short-${k}`));
    }
    store = await reopen(store);
    const recorder = new Recorder();
    store.watch({ from: metadata.resourceVersion ?? '' }, recorder);
    await turn();
    assert.ok(withCode('API_EXPIRED')(recorder.errors[0]));
    const { items } = await store.list('configmaps');
    assert.deepEqual(
      items.map((object) => [object.metadata.name, (object as ConfigMap).data]),
      [
        ['kept', { k: 'v' }],
        ['x', { k: '29' }],
      ],
    );
  });
}
