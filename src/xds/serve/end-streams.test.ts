import assert from 'node:assert/strict';
import test from 'node:test';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { FakeProxy } from '../../../test/fakes/fake-proxy.ts';
import { adsHarness, nodeMessage, settle } from '../../../test/kit/ads-harness.ts';

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

for (const [what, late] of [
  ['its first request was not there yet', 'request'],
  ['the control plane was still told of it', 'connect'],
] as const)
  test(`a stream ends that is not to have any more, also when ${what}`, async () => {
    const told = Promise.withResolvers<void>();
    const events: string[] = [];
    const { server, set } = adsHarness({
      onConnect: async ({ workloadName }) => {
        events.push(`+${workloadName}`);
        await told.promise;
      },
      onDisconnect: ({ workloadName }) => void events.push(`-${workloadName}`),
    });
    set({ cluster: 'a1' });
    const [gone, kept] = ['gone', 'kept'].map(
      (name) => new FakeProxy(server.service, { node: nodeMessage(name) }),
    );
    assert.ok(gone && kept);
    const request = () => {
      for (const proxy of [gone, kept]) proxy.subscribe(TYPE_URL.cluster);
    };
    if (late === 'connect') request();
    await settle();
    server.endStreams((_call, { workloadName }) => workloadName === 'gone');
    if (late === 'request') request();
    told.resolve();
    await settle();
    const { unauthenticated: status } = GRPC_STATUS;
    assert.deepEqual(gone.ended, { status, message: 'authentication failure' });
    assert.deepEqual(gone.news(), []);
    assert.equal(kept.ended, undefined);
    assert.deepEqual(kept.news(), ['Cluster +a']);
    assert.deepEqual(events, ['+gone', '+kept', '-gone']);
  });

test('more streams than there may be are refused, until one ends', () => {
  const { server } = adsHarness();
  const open = () => new FakeProxy(server.service);
  const [first] = Array.from({ length: LIMITS.xdsStreamsMax }, open);
  assert.ok(first && first.ended === undefined);
  const late = open();
  const { resourceExhausted: status } = GRPC_STATUS;
  assert.deepEqual(late.ended, { status, message: `more than ${LIMITS.xdsStreamsMax} streams` });
  first.disconnect();
  assert.equal(open().ended, undefined);
});
