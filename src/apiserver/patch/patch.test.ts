import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { service } from '#api/kinds/service.ts';
import { serviceAccount } from '#api/kinds/service-account.ts';
import { applyJsonPatch } from '#apiserver/patch/json-patch.ts';
import type { JsonObject } from '#apiserver/patch/json-value.ts';
import { applyMergePatch } from '#apiserver/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '#apiserver/patch/strategic-merge-patch.ts';
import { ApiError } from '#apiserver/status.ts';

const refusedWith =
  (code: number) =>
  (error: unknown): boolean =>
    error instanceof ApiError && error.body.code === code;

describe('JSON merge patch (RFC 7396)', () => {
  // The examples of appendix A.
  for (const [target, patch, result] of [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [['a'], ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]) {
    it(`${JSON.stringify(target)} + ${JSON.stringify(patch)}`, () => {
      assert.deepEqual(applyMergePatch(target, patch), result);
    });
  }

  it('cannot reach the prototype', () => {
    const patch = JSON.parse('{"__proto__":{"polluted":1}}');
    const result = applyMergePatch({ a: 1 }, patch) as JsonObject;
    assert.equal(Reflect.get({}, 'polluted'), undefined);
    assert.equal(Object.getPrototypeOf(result), Object.prototype);
  });
});

describe('JSON patch (RFC 6902)', () => {
  const target = { data: { k: 'v' }, list: ['a', 'b'] };
  const apply = (...patch: object[]): unknown => applyJsonPatch(target, patch);

  for (const [operation, result] of [
    [
      { op: 'add', path: '/data/n', value: '1' },
      { ...target, data: { k: 'v', n: '1' } },
    ],
    [
      { op: 'add', path: '/list/1', value: 'x' },
      { ...target, list: ['a', 'x', 'b'] },
    ],
    [
      { op: 'add', path: '/list/-', value: 'x' },
      { ...target, list: ['a', 'b', 'x'] },
    ],
    [
      { op: 'replace', path: '/list/0', value: 'x' },
      { ...target, list: ['x', 'b'] },
    ],
    [
      { op: 'remove', path: '/data/k' },
      { ...target, data: {} },
    ],
    [
      { op: 'remove', path: '/list/0' },
      { ...target, list: ['b'] },
    ],
    [
      { op: 'copy', from: '/data/k', path: '/data/c' },
      { ...target, data: { k: 'v', c: 'v' } },
    ],
    [
      { op: 'move', from: '/data/k', path: '/data/m' },
      { ...target, data: { m: 'v' } },
    ],
    [{ op: 'test', path: '/list', value: ['a', 'b'] }, target],
    [
      { op: 'add', path: '/a~1b~0c', value: 1 },
      { ...target, 'a/b~c': 1 },
    ],
    [{ op: 'replace', path: '', value: { x: 1 } }, { x: 1 }],
  ] as const) {
    it(JSON.stringify(operation), () => assert.deepEqual(apply(operation), result));
  }

  for (const operation of [
    { op: 'test', path: '/data/k', value: 'other' },
    { op: 'remove', path: '/data/none' },
    { op: 'replace', path: '/data/none', value: 1 },
    { op: 'add', path: '/none/x', value: 1 },
    { op: 'add', path: '/list/9', value: 1 },
    { op: 'add', path: '/list/01', value: 1 },
    { op: 'add', path: '/data/k' },
    { op: 'frob', path: '/data' },
    { op: 'add', path: 'data', value: 1 },
    { op: 'move', path: '/x' },
    { op: 'remove', path: '/data/constructor' },
  ]) {
    it(`${JSON.stringify(operation)} does not apply`, () => {
      assert.throws(() => apply(operation), refusedWith(422));
    });
  }

  it('leaves the target alone, also when it fails half way', () => {
    const before = structuredClone(target);
    const first = { op: 'add', path: '/data/n', value: '1' };
    assert.throws(() => apply(first, { op: 'remove', path: '/none' }));
    apply(first);
    assert.deepEqual(target, before);
  });

  it('is a list of operations, and of a bounded size', () => {
    assert.throws(() => applyJsonPatch(target, { a: 1 }), refusedWith(400));
    const many = Array.from({ length: 10_001 }, () => ({
      op: 'test',
      path: '/data/k',
      value: 'v',
    }));
    assert.throws(() => apply(...many), refusedWith(413));
    const doubling = Array.from({ length: 60 }, (_, index) => ({
      op: 'copy',
      from: '/data',
      path: `/data/d${index}`,
    }));
    assert.throws(() => apply(...doubling), refusedWith(413));
  });

  it('does not copy something large again and again', () => {
    const value = Object.fromEntries(Array.from({ length: 6000 }, (_, at) => [`k${at}`, 'v']));
    const large = { op: 'add', path: '/data', value };
    const once = { op: 'replace', path: '/data/k1', value: 'w' };
    assert.deepEqual(apply(large, once), { ...target, data: { ...value, k1: 'w' } });
    assert.throws(() => apply(large, ...Array(100).fill(once)), refusedWith(413));
  });
});

describe('strategic merge patch', () => {
  const account = { secrets: [{ name: 's1' }], imagePullSecrets: [{ name: 'i1' }] };
  const apply = (target: JsonObject, patch: JsonObject): JsonObject =>
    applyStrategicMergePatch(target, patch, serviceAccount.schema);
  const names = (object: JsonObject): string =>
    (object.secrets as { name: string }[]).map(({ name }) => name).join(' ');

  it('merges lists that have a key, new items first, and replaces the others', () => {
    const patch = { secrets: [{ name: 's2' }], imagePullSecrets: [{ name: 'i2' }] };
    const result = apply(account, patch);
    assert.equal(names(result), 's2 s1');
    assert.deepEqual(result.imagePullSecrets, [{ name: 'i2' }]);
  });

  it('changes the item of the same key where it stands', () => {
    const ports = [
      { port: 80, name: 'a' },
      { port: 81, name: 'b' },
    ];
    const patch = { spec: { ports: [{ port: 81, name: 'c' }] } };
    const result = applyStrategicMergePatch({ spec: { ports } }, patch, service.schema);
    assert.deepEqual(result, { spec: { ports: [ports[0], { port: 81, name: 'c' }] } });
  });

  it('deletes items, replaces lists, and orders them by directive', () => {
    const two = { secrets: [{ name: 's1' }, { name: 's2' }] };
    assert.equal(names(apply(two, { secrets: [{ name: 's1', $patch: 'delete' }] })), 's2');
    assert.equal(names(apply(two, { secrets: [{ $patch: 'replace' }, { name: 'x' }] })), 'x');
    const ordered = {
      '$setElementOrder/secrets': [{ name: 's3' }, { name: 's2' }],
      secrets: [{ name: 's3' }],
    };
    assert.equal(names(apply({ secrets: [{ name: 's2' }] }, ordered)), 's3 s2');
    const reversed = { '$setElementOrder/secrets': [{ name: 's2' }, { name: 's1' }] };
    assert.equal(names(apply(two, reversed)), 's2 s1');
  });

  it('does not compare everything in long lists with everything else', () => {
    const words = (length: number) => Array.from({ length }, (_, at) => `a/${at}`);
    const named = words(1001).map((name) => ({ name }));
    const two = { metadata: { finalizers: words(2) }, secrets: named.slice(0, 2) };
    for (const patch of [
      { metadata: { finalizers: words(1000) } },
      { metadata: { '$deleteFromPrimitiveList/finalizers': words(1000) } },
      { secrets: named },
      { '$setElementOrder/secrets': named },
      { $retainKeys: words(1001) },
    ])
      assert.throws(() => apply(two, patch), refusedWith(413), Object.keys(patch).join());
    assert.equal(names(apply(two, { secrets: named.slice(0, 20) })).split(' ').length, 20);
  });

  it('treats lists of words as sets', () => {
    const target = { metadata: { finalizers: ['a/one'] } };
    const added = apply(target, { metadata: { finalizers: ['a/two'] } });
    assert.deepEqual(added, { metadata: { finalizers: ['a/two', 'a/one'] } });
    const removal = { '$deleteFromPrimitiveList/finalizers': ['a/one', 'a/two'] };
    assert.deepEqual(apply(added, { metadata: removal }), { metadata: {} });
  });

  it('merges maps, removes nulls, and replaces or empties a map by directive', () => {
    const target = { metadata: { labels: { a: '1', b: '2' } } };
    const labels = (patch: JsonObject): unknown =>
      (apply(target, { metadata: { labels: patch } }).metadata as JsonObject).labels;
    assert.deepEqual(labels({ a: null, c: '3' }), { b: '2', c: '3' });
    assert.deepEqual(labels({ $patch: 'replace', c: '3' }), { c: '3' });
    assert.deepEqual(labels({ $patch: 'delete' }), {});
    assert.deepEqual(labels({ $retainKeys: ['b'] }), { b: '2' });
    assert.throws(() => labels({ $patch: 'frob' }), refusedWith(400));
  });

  it('keeps no directive in what is new', () => {
    const patch = { metadata: { labels: { $patch: 'merge', a: '1', b: null } }, secrets: null };
    assert.deepEqual(apply({}, patch), { metadata: { labels: { a: '1' } } });
  });

  it('refuses an item without its key as Kubernetes does', () => {
    const patch = { spec: { ports: [{ name: 'y' }] } };
    const target = { spec: { ports: [{ port: 80 }] } };
    const message = 'map: map[name:y] does not contain declared merge key: port';
    assert.throws(() => applyStrategicMergePatch(target, patch, service.schema), { message });
  });
});
