import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { isBulwarkError } from '#base/errors.ts';
import {
  type ConfigMap,
  configMap,
  keyOf,
  policy,
  policyKey,
  Recorder,
  type StoreSubject,
  turn,
  withCode,
} from '../kit/store-subject.ts';
import {
  describeReopening,
  describeResumingWatches,
  describeWatches,
} from './store-watch-contract.ts';

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
