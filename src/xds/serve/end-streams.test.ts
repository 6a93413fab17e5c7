import assert from 'node:assert/strict';
import test from 'node:test';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { adsHarness, nodeMessage } from '../../../test/kit/ads-harness.ts';

test('streams of those who are not to have any more end, others go on', async () => {
  const asked: string[] = [];
  const { connect, set, server } = adsHarness();
  set({ cluster: 'a1' });
  const gone = await connect();
  const kept = await connect({ node: nodeMessage('kept') });
  for (const proxy of [gone, kept]) proxy.subscribe(TYPE_URL.cluster);
  server.endStreams((call, { identity }) => {
    asked.push(identity);
    return asked.length === 1 && call.peer !== undefined;
  });
  assert.equal(asked.length, 2);
  const { unauthenticated: status } = GRPC_STATUS;
  assert.deepEqual(gone.ended, { status, message: 'authentication failure' });
  assert.equal(kept.ended, undefined);
  assert.equal(server.proxies().length, 1);
});
