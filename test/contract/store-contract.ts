import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { ErrorCode } from '#base/error-codes.ts';
import type { Store, StoreEvent, StoreObserver } from '#store/store.ts';
import type { HistoryBounds } from '#store/history.ts';

/** What the suite needs of an implementation. */
export interface StoreSubject {
  /** A fresh, empty store. */
  open(options?: { readonly history?: HistoryBounds }): Promise<Store>;
  /** Closes the store and opens what it kept; left out when it keeps nothing. */
  reopen?(store: Store): Promise<Store>;
}

interface ConfigMap extends ApiObject {
  readonly data?: Record<string, string>;
}

/** A config map, which has no status and no generation. */
export function configMap(name: string, data: { k?: string } = {}, namespace = 'a') {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
}

const dataOf = (object: ApiObject | undefined): unknown => (object as ConfigMap | undefined)?.data;

/** An object with status and generation. */
function policy(name: string, spec: object, status?: object) {
  const apiVersion = 'security.istio.io/v1';
  const metadata = { name, namespace: 'a' };
  return { apiVersion, kind: 'PeerAuthentication', metadata, spec, ...(status && { status }) };
}

/** The key of a config map. */
export const keyOf = (name: string, namespace = 'a') => ({ kind: 'configmaps', namespace, name });
const policyKey = (name: string) => ({
  kind: 'peerauthentications.security.istio.io',
  namespace: 'a',
  name,
});

/** Collects what a watch says. */
export class Recorder implements StoreObserver {
  readonly events: StoreEvent[] = [];
  readonly errors: unknown[] = [];

  onEvent(event: StoreEvent): void {
    this.events.push(event);
  }

  onError(error: unknown): void {
    this.errors.push(error);
  }

  /** `ADDED x`, in order. */
  get said(): readonly string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata.name}`);
  }
}

/** A predicate for `assert.rejects`. */
export const withCode =
  (code: ErrorCode) =>
  (error: unknown): boolean =>
    isBulwarkError(error, code);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Every promise of the Store interface, tried on one implementation. */
export function describeStore(name: string, subject: StoreSubject): void {
  describe(`${name} keeps the contract of Store`, () => {
    describeReadsAndWrites(subject);
    describeVersions(subject);
    describeWatches(subject);
    describeResumingWatches(subject);
    if (subject.reopen) describeReopening(subject, subject.reopen.bind(subject));
  });
}

function describeReadsAndWrites({ open }: StoreSubject): void {
  it('gives a created object its server-owned metadata, whatever was asked for', async () => {
    const store = await open();
    const asked = { ...configMap('x', { k: 'v' }) };
    const metadata = { ...asked.metadata, uid: 'mine', creationTimestamp: '2001-01-01T00:00:00Z' };
    const created = await store.create({ ...asked, metadata });
    assert.match(created.metadata.uid ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/);
    assert.match(created.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.notEqual(created.metadata.creationTimestamp, '2001-01-01T00:00:00Z');
    assert.equal(created.metadata.generation, undefined);
    assert.deepEqual(await store.get(keyOf('x')), created);
  });

  it('refuses a second object of the same name, and unknown kinds', async () => {
    const store = await open();
    await store.create(configMap('x'));
    await assert.rejects(store.create(configMap('x')), withCode('API_ALREADY_EXISTS'));
    await store.create(configMap('x', {}, 'b'));
    const unknown = { apiVersion: 'v1', kind: 'Widget', metadata: { name: 'x' } };
    await assert.rejects(store.create(unknown), withCode('API_UNKNOWN_KIND'));
  });

  it('knows nothing of what was never written', async () => {
    const store = await open();
    assert.equal(await store.get(keyOf('x')), undefined);
    assert.deepEqual((await store.list('configmaps')).items, []);
    await assert.rejects(store.update(configMap('x')), withCode('API_NOT_FOUND'));
    await assert.rejects(store.updateStatus(policy('x', {})), withCode('API_NOT_FOUND'));
    await assert.rejects(store.delete(keyOf('x')), withCode('API_NOT_FOUND'));
  });

  it('lists by namespace, then name, one namespace or all', async () => {
    const store = await open();
    for (const [namespace, name] of ['b z', 'a-b x', 'a y', 'a x', 'a.b w'].map((text) =>
      text.split(' '),
    )) {
      await store.create(configMap(name ?? '', {}, namespace));
    }
    const names = async (namespace?: string): Promise<string> => {
      const { items } = await store.list('configmaps', namespace ? { namespace } : {});
      return items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(' ');
    };
    assert.equal(await names(), 'a/x a/y a-b/x a.b/w b/z');
    assert.equal(await names('a'), 'a/x a/y');
    await store.delete(keyOf('x'));
    assert.equal(await names(), 'a/y a-b/x a.b/w b/z');
    assert.equal(await names('a'), 'a/y');
  });

  it('deletes, and hands out the last state under the version of the deletion', async () => {
    const store = await open();
    const created = await store.create(configMap('x', { k: 'v' }));
    const last = await store.delete(keyOf('x'));
    assert.deepEqual((last as ConfigMap).data, { k: 'v' });
    assert.equal(last.metadata.uid, created.metadata.uid);
    assert.equal(last.metadata.resourceVersion, await store.currentVersion());
    assert.equal(await store.get(keyOf('x')), undefined);
    const again = await store.create(configMap('x'));
    assert.notEqual(again.metadata.uid, created.metadata.uid);
  });

  it('hands out frozen objects and keeps no tie to what it was given', async () => {
    const store = await open();
    const mine = configMap('x', { k: 'v' });
    const promise = store.create(mine);
    mine.data.k = 'changed';
    const created = (await promise) as ConfigMap;
    assert.deepEqual(created.data, { k: 'v' });
    assert.throws(() => Object.assign(created.data ?? {}, { k: 'w' }), TypeError);
    assert.throws(() => Object.assign(created.metadata, { name: 'y' }), TypeError);
    mine.data.k = 'still mine';
  });

  it('creates within a namespace only while that is there and stays', async () => {
    const store = await open();
    const within = { kind: 'namespaces', namespace: '', name: 'a' };
    await assert.rejects(store.create(configMap('x'), { within }), withCode('API_NOT_FOUND'));
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } };
    const made = await store.create(namespace);
    await store.create(configMap('x'), { within });
    const leaving = { ...made, metadata: { ...made.metadata, deletionTimestamp: 'now' } };
    // In one batch: the second write must see the first.
    const [, refused] = await Promise.allSettled([
      store.update(leaving),
      store.create(configMap('y'), { within }),
    ]);
    assert.equal(refused.status, 'rejected');
    assert.ok(isBulwarkError(refused.reason, 'API_FORBIDDEN'));
    assert.equal(await store.get(keyOf('y')), undefined);
  });
}

function describeVersions({ open }: StoreSubject): void {
  it('refuses a write from an old version or of another uid, and takes one without either', async () => {
    const store = await open();
    const first = await store.create(configMap('x', { k: '1' }));
    const at = (metadata: object, k: string): ApiObject => ({
      ...configMap('x', { k }),
      metadata: { ...configMap('x').metadata, ...metadata },
    });
    const { resourceVersion } = first.metadata;
    await store.update(at({ resourceVersion }, '2'));
    await assert.rejects(store.update(at({ resourceVersion }, '3')), withCode('API_CONFLICT'));
    await assert.rejects(store.update(at({ uid: 'other' }, '3')), withCode('API_CONFLICT'));
    const last = await store.update(at({}, '4'));
    assert.deepEqual((last as ConfigMap).data, { k: '4' });
    assert.equal(last.metadata.uid, first.metadata.uid);
    assert.equal(last.metadata.creationTimestamp, first.metadata.creationTimestamp);
  });

  it('deletes only the version and uid that was named', async () => {
    const store = await open();
    const { metadata } = await store.create(configMap('x'));
    const remove = (precondition: object) => store.delete(keyOf('x'), precondition);
    await assert.rejects(remove({ uid: 'other' }), withCode('API_CONFLICT'));
    await assert.rejects(remove({ resourceVersion: '0' }), withCode('API_CONFLICT'));
    await remove({ uid: metadata.uid, resourceVersion: metadata.resourceVersion });
    assert.equal(await store.get(keyOf('x')), undefined);
  });

  it('lets one of many writers from the same version win', async () => {
    const store = await open();
    const { metadata } = await store.create(configMap('x'));
    const writes = Array.from({ length: 20 }, (_, k) =>
      store.update({ ...configMap('x', { k: String(k) }), metadata }),
    );
    const results = await Promise.allSettled(writes);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of results) {
      if (result.status === 'rejected') assert.ok(withCode('API_CONFLICT')(result.reason));
    }
  });

  it('gives every write a greater version, also a deletion', async () => {
    const store = await open();
    const seen: number[] = [];
    const note = ({ metadata }: ApiObject) => seen.push(Number(metadata.resourceVersion));
    note(await store.create(configMap('x')));
    note(await store.create(configMap('y')));
    note(await store.update(configMap('x', { k: 'v' })));
    note(await store.delete(keyOf('y')));
    note(await store.create(configMap('y')));
    assert.deepEqual(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
    );
    assert.equal(await store.currentVersion(), String(seen.at(-1)));
  });

  it('writes nothing when nothing changed', async () => {
    const store = await open();
    const recorder = new Recorder();
    const created = await store.create(policy('x', { mtls: { mode: 'STRICT' } }));
    store.watch({}, recorder);
    assert.deepEqual(await store.update(policy('x', { mtls: { mode: 'STRICT' } })), created);
    assert.deepEqual(await store.updateStatus(created), created);
    await turn();
    assert.deepEqual(recorder.said, []);
    assert.equal(await store.currentVersion(), created.metadata.resourceVersion);
  });

  it('keeps status apart, and counts generations by the wanted state alone', async () => {
    const store = await open();
    const strict = { mtls: { mode: 'STRICT' } };
    const generation = async (): Promise<unknown> =>
      (await store.get(policyKey('x')))?.metadata.generation;
    const statusOf = async (): Promise<unknown> =>
      ((await store.get(policyKey('x'))) as { status?: unknown }).status;
    await store.create(policy('x', strict));
    assert.equal(await generation(), 1);
    await store.updateStatus(policy('x', { ignored: true }, { seen: 1 }));
    assert.deepEqual(await statusOf(), { seen: 1 });
    assert.equal(await generation(), 1);
    const labelled = policy('x', strict, { seen: 2 });
    await store.update({ ...labelled, metadata: { ...labelled.metadata, labels: { a: 'b' } } });
    assert.deepEqual(await statusOf(), { seen: 1 });
    assert.equal(await generation(), 1);
    await store.update(policy('x', { mtls: { mode: 'PERMISSIVE' } }));
    assert.deepEqual(await statusOf(), { seen: 1 });
    assert.equal(await generation(), 2);
  });

  it('lists the objects as they were at an older version', async () => {
    const store = await open();
    await store.create(configMap('x', { k: '1' }));
    await store.create(configMap('y', { k: '1' }));
    const before = await store.list('configmaps', { namespace: 'a' });
    await store.update(configMap('x', { k: '2' }));
    await store.delete(keyOf('y'));
    await store.create(configMap('a'));
    const at = { namespace: 'a', at: before.resourceVersion };
    assert.deepEqual(await store.list('configmaps', at), before);
    assert.equal((await store.list('configmaps')).items.length, 2);
    await assert.rejects(store.list('configmaps', { at: '999' }), withCode('API_EXPIRED'));
    await assert.rejects(store.list('configmaps', { at: 'x' }), withCode('API_BAD_REQUEST'));
  });
}

function describeWatches({ open }: StoreSubject): void {
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

function describeResumingWatches({ open }: StoreSubject): void {
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

function describeReopening({ open }: StoreSubject, reopen: (store: Store) => Promise<Store>): void {
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
