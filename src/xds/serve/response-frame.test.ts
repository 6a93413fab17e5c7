import assert from 'node:assert/strict';
import test from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { frameMessage } from '#base/grpc/grpc.ts';
import {
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { encodeResponseFrame, FrameCache } from './response-frame.ts';

function resource(name: string, size = 10): XdsResource {
  const message = create(ResourceSchema, { name, version: 'x'.repeat(size) });
  const encoded = toBinary(ResourceSchema, message);
  return { typeUrl: TYPE_URL.cluster, name, version: '1', encoded };
}

test('frames are what the protobuf library makes of the same message', () => {
  const names = fc.array(fc.string({ unit: 'grapheme' }));
  const sized = fc.array(fc.tuple(fc.string(), fc.constantFrom(0, 1, 100, 127, 128, 20_000)));
  fc.assert(
    fc.property(sized, names, fc.string({ minLength: 1 }), (sizes, removed, nonce) => {
      const changed = sizes.map(([name, size]) => resource(name, size));
      const frame = encodeResponseFrame(TYPE_URL.cluster, nonce, { changed, removed });
      const message = create(DeltaDiscoveryResponseSchema, {
        typeUrl: TYPE_URL.cluster,
        nonce,
        removedResources: removed,
        resources: changed.map(({ encoded }) => fromBinary(ResourceSchema, encoded)),
      });
      assert.deepEqual(frame, frameMessage(toBinary(DeltaDiscoveryResponseSchema, message)));
    }),
  );
});

test('the same content is built once; other content, type or removals are not the same', () => {
  const cache = new FrameCache({ bytesMax: 10_000 });
  const [a, b] = [resource('a'), resource('b')];
  const frame = cache.get(TYPE_URL.cluster, { changed: [a, b], adds: false, removed: ['c'] });
  const again = { changed: [a, { ...b }], adds: false, removed: ['c'] };
  assert.equal(cache.get(TYPE_URL.cluster, again), frame);
  assert.equal(
    cache.get(TYPE_URL.cluster, { changed: [a, b], adds: false, removed: ['c'] }),
    frame,
  );
  const others = [
    cache.get(TYPE_URL.listener, { changed: [a, b], adds: false, removed: ['c'] }),
    cache.get(TYPE_URL.cluster, { changed: [b, a], adds: false, removed: ['c'] }),
    cache.get(TYPE_URL.cluster, { changed: [a], adds: false, removed: ['c'] }),
    cache.get(TYPE_URL.cluster, {
      changed: [a, { ...b, version: '2' }],
      adds: false,
      removed: ['c'],
    }),
    cache.get(TYPE_URL.cluster, { changed: [a, b], adds: false, removed: [] }),
    cache.get(TYPE_URL.cluster, { changed: [a, b], adds: false, removed: ['c', ''] }),
    cache.get(TYPE_URL.cluster, { changed: [a, b], adds: false, removed: ['c,1:d'] }),
    cache.get(TYPE_URL.cluster, { changed: [a, b], adds: false, removed: ['c', 'd'] }),
  ];
  const nonces = new Set([frame, ...others].map(({ nonce }) => nonce));
  assert.equal(nonces.size, others.length + 1);
});

test('the cache holds no more than its bound; what was used last stays', () => {
  const cache = new FrameCache({ bytesMax: 3500 });
  const changes = ['a', 'b', 'c', 'd'].map((name) => ({
    changed: [resource(name, 1000)],
    adds: false,
    removed: [],
  }));
  const [a, b, c, d] = changes;
  assert.ok(a && b && c && d);
  const nonce = (change: typeof a) => cache.get(TYPE_URL.cluster, change).nonce;
  const [first, second] = [nonce(a), nonce(b)];
  nonce(c);
  assert.equal(nonce(a), first);
  nonce(d);
  assert.equal(nonce(a), first);
  assert.notEqual(nonce(b), second);
  const huge = { changed: [resource('e', 5000)], adds: false, removed: [] };
  const before = nonce(huge);
  assert.equal(nonce(a), first);
  assert.notEqual(nonce(huge), before);
  assert.equal(nonce(a), first);
});
