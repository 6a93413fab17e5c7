import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsistencyCheck } from '#xds/generate/consistency.ts';
import { referencesOf } from '#xds/generate/references.ts';
import { TYPE_URL, type TypeUrl, type XdsSnapshot } from '#xds/resource.ts';
import { goldenCases, goldenSnapshot } from '../../../test/kit/golden-case.ts';

const cases = goldenCases();

function snapshotOf(name: string): XdsSnapshot {
  const found = cases.get(name);
  assert.ok(found);
  return goldenSnapshot(found);
}

function without(snapshot: XdsSnapshot, typeUrl: TypeUrl, name: string): XdsSnapshot {
  const kept = [...(snapshot.get(typeUrl) ?? [])].filter(([key]) => key !== name);
  return new Map([...snapshot, [typeUrl, new Map(kept)]]);
}

test('a complete set passes', () => {
  for (const name of cases.keys()) new ConsistencyCheck().check(snapshotOf(name));
});

test('every name that a resource refers to must be there, or nothing is published', () => {
  const snapshot = snapshotOf('redirected-calls');
  const needed = [...snapshot.values()]
    .flatMap((map) => [...map.values()])
    .flatMap((resource) => referencesOf(resource));
  assert.deepEqual(
    new Set(needed.map(({ typeUrl }) => typeUrl)),
    new Set([TYPE_URL.cluster, TYPE_URL.route, TYPE_URL.endpoints, TYPE_URL.extensionConfig]),
  );
  for (const { typeUrl, name } of needed) {
    const broken = without(snapshot, typeUrl, name);
    assert.throws(() => new ConsistencyCheck().check(broken), {
      code: 'XDS_RESOURCE_INVALID',
      message: new RegExp(JSON.stringify(name).replaceAll(/[|.]/g, '\\$&')),
    });
  }
});
