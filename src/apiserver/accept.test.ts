import assert from 'node:assert/strict';
import { it } from 'node:test';
import { mediaRanges, objectFormat } from '#apiserver/accept.ts';

it('takes the first form that it has', () => {
  const table = { media: 'json', as: 'Table', version: 'v1' };
  const plain = { media: 'json', as: undefined, version: 'v1' };
  for (const [header, format] of [
    [undefined, plain],
    ['*/*', plain],
    ['application/json', plain],
    ['application/vnd.kubernetes.protobuf,application/json', plain],
    ['application/yaml', { ...plain, media: 'yaml' }],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', table],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', { ...table, version: 'v1beta1' }],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', plain],
    ['application/json;q=0.1, application/yaml', { ...plain, media: 'yaml' }],
  ] as const) {
    assert.deepEqual(objectFormat(header), format, header);
  }
});

it('refuses when it has none of them', () => {
  for (const header of [
    'text/html',
    'application/vnd.kubernetes.protobuf',
    'application/json;q=0',
    'application/json;as=Table;v=v1;g=other',
  ]) {
    assert.throws(() => objectFormat(header), /Not Acceptable/, header);
  }
});

it('sorts by quality and keeps the order of equals', () => {
  const types = mediaRanges('a/a;q=0.5, b/b, c/c;q=bad, d/d').map(({ type }) => type);
  assert.deepEqual(types, ['b/b', 'd/d', 'a/a']);
});
