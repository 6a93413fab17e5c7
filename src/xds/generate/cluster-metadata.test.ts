import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { MetadataSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { openedAs, withAlpnOverride } from '#xds/generate/cluster-metadata.ts';

test('what is offered to servers outside of the mesh is said to be fixed', () => {
  const found = withAlpnOverride(undefined, 'originate');
  assert.deepEqual(found?.filterMetadata, { istio: { alpn_override: 'false' } });
});

test('what else a cluster says stays', () => {
  const before = create(MetadataSchema, {
    filterMetadata: { istio: { subset: 'a' }, x: { y: 1 } },
  });
  const found = withAlpnOverride(before, 'originate');
  const istio = { subset: 'a', alpn_override: 'false' };
  assert.deepEqual(found?.filterMetadata, { istio, x: { y: 1 } });
  assert.deepEqual(before.filterMetadata, { istio: { subset: 'a' }, x: { y: 1 } });
});

test('clusters of the mesh and of plaintext say nothing of it', () => {
  for (const mode of ['mesh', 'plain'] as const) {
    assert.equal(withAlpnOverride(undefined, mode), undefined);
    const before = openedAs({ ownDomain: undefined, revokedBy: 'r' });
    assert.equal(withAlpnOverride(before, mode), before);
    assert.deepEqual(before?.filterMetadata, { bulwark: { revokedBy: 'r' } });
  }
});
