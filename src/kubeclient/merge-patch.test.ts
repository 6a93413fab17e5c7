import assert from 'node:assert/strict';
import { it } from 'node:test';
import { threeWayMergePatch } from '#kubeclient/merge-patch.ts';

it('what is as desired needs no patch', () => {
  const live = { spec: { action: 'ALLOW', rules: [1] }, status: { ok: true } };
  assert.equal(threeWayMergePatch({}, { spec: { action: 'ALLOW', rules: [1] } }, live), undefined);
});

it('what differs is set, lists as a whole', () => {
  const live = { spec: { action: 'ALLOW', rules: [1, 2], kept: 'by others' } };
  const patch = threeWayMergePatch({}, { spec: { action: 'DENY', rules: [1] } }, live);
  assert.deepEqual(patch, { spec: { action: 'DENY', rules: [1] } });
});

it('what was applied before and is gone is taken out; what others added stays', () => {
  const last = { metadata: { labels: { mine: 'a', old: 'b' } } };
  const live = { metadata: { labels: { mine: 'a', old: 'b', theirs: 'c' } } };
  const patch = threeWayMergePatch(last, { metadata: { labels: { mine: 'a' } } }, live);
  assert.deepEqual(patch, { metadata: { labels: { old: null } } });
});

it('a map that replaces another type is set whole', () => {
  const patch = threeWayMergePatch({}, { spec: { mtls: { mode: 'STRICT' } } }, { spec: null });
  assert.deepEqual(patch, { spec: { mtls: { mode: 'STRICT' } } });
});

it('a map that is gone takes only what the user had put into it', () => {
  const last = { metadata: { labels: { mine: 'a' } }, spec: { deep: { x: 1 } } };
  const live = { metadata: { labels: { mine: 'a', theirs: 'b' } }, spec: { deep: { x: 1 } } };
  const patch = threeWayMergePatch(last, { metadata: {} }, live);
  assert.deepEqual(patch, { metadata: { labels: { mine: null } }, spec: null });
});
