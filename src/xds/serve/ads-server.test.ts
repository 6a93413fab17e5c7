import assert from 'node:assert/strict';
import test from 'node:test';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { FakeProxy } from '../../../test/fakes/fake-proxy.ts';
import { adsHarness, nodeMessage } from '../../../test/kit/ads-harness.ts';

const { cluster: CDS, endpoints: EDS, listener: LDS, route: RDS, extensionConfig: ECDS } = TYPE_URL;

test('a proxy gets all clusters and listeners, and of the rest what it names', async () => {
  const { connect, set } = adsHarness();
  set({ cluster: 'a1 b1', endpoints: 'a1 b1', listener: 'l1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  assert.deepEqual(proxy.news(), ['Cluster +a +b']);
  proxy.subscribe(EDS, ['a']);
  assert.deepEqual(proxy.news(), ['ClusterLoadAssignment +a']);
  proxy.ack(CDS);
  proxy.subscribe(LDS);
  assert.deepEqual(proxy.news(), ['Listener +l']);
});
