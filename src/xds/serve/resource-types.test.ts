import assert from 'node:assert/strict';
import test from 'node:test';
import { TYPE_URL } from '#xds/resource.ts';
import { PUSH_ORDER, RESOURCE_TYPES } from './resource-types.ts';

test('every type is served, once, and found in its place', () => {
  assert.deepEqual(
    RESOURCE_TYPES.map(({ typeUrl }) => typeUrl).sort(),
    Object.values(TYPE_URL).sort(),
  );
  for (const [index, { name }] of RESOURCE_TYPES.entries()) assert.equal(PUSH_ORDER[name], index);
  assert.equal(Object.keys(PUSH_ORDER).length, RESOURCE_TYPES.length);
});
