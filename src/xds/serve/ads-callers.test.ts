import assert from 'node:assert/strict';
import test from 'node:test';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { FakeProxy } from '../../../test/fakes/fake-proxy.ts';
import { adsHarness, nodeMessage, settle } from '../../../test/kit/ads-harness.ts';
import { serveGrpc } from '../../../test/kit/grpc-server.ts';

const { cluster: CDS } = TYPE_URL;

test('the identity of a proxy is that of its certificate', async () => {
  const { server } = adsHarness();
  const refusal = async (node: ReturnType<typeof nodeMessage>) => {
    const proxy = new FakeProxy(server.service, { node });
    proxy.subscribe(CDS);
    await settle();
    return proxy.ended;
  };
  const mismatch = (what: string) => ({
    status: GRPC_STATUS.permissionDenied,
    message: `the node claims a ${what} that is not that of its certificate`,
  });
  assert.deepEqual(await refusal(nodeMessage('app', { NAMESPACE: 'x' })), mismatch('namespace'));
  const account = nodeMessage('app', { SERVICE_ACCOUNT: 'x' });
  assert.deepEqual(await refusal(account), mismatch('service account'));
  const id = 'sidecar~10.0.0.1~app.x~x.svc.cluster.local';
  assert.deepEqual(await refusal({ ...nodeMessage(), id }), mismatch('namespace'));
  const malformed = await refusal({ ...nodeMessage(), id: 'me' });
  assert.equal(malformed !== 'reset' && malformed?.status, GRPC_STATUS.invalidArgument);
  assert.equal(await refusal(nodeMessage()), undefined);
});

test('an unknown caller is refused, whatever its node says', async () => {
  const { server } = adsHarness({
    authenticate: async () => {
      throw new GrpcStatusError(GRPC_STATUS.unauthenticated, 'authentication failure');
    },
  });
  const proxy = new FakeProxy(server.service, { node: nodeMessage() });
  proxy.subscribe(CDS);
  await settle();
  const ended = { status: GRPC_STATUS.unauthenticated, message: 'authentication failure' };
  assert.deepEqual(proxy.ended, ended);
  assert.deepEqual(proxy.responses, []);
});

test('what goes wrong inside stays inside', async () => {
  const { server } = adsHarness({
    authenticate: async () => {
      throw new Error('the key store is locked');
    },
  });
  const proxy = new FakeProxy(server.service, { node: nodeMessage() });
  await settle();
  assert.deepEqual(proxy.ended, { status: GRPC_STATUS.internal, message: 'internal error' });
});

test('a request without node, or that does not parse, ends the stream', async () => {
  const { server, connect } = adsHarness();
  const nameless = new FakeProxy(server.service);
  nameless.subscribe(CDS);
  await settle();
  const message = 'the first request has no node';
  assert.deepEqual(nameless.ended, { status: GRPC_STATUS.invalidArgument, message });
  const garbage = await connect();
  garbage.sendBytes(Buffer.from([255, 255, 255]));
  const text = 'the request does not parse';
  assert.deepEqual(garbage.ended, { status: GRPC_STATUS.invalidArgument, message: text });
});

test('a stream without a request ends after a while', async () => {
  const { server, clock } = adsHarness();
  const proxy = new FakeProxy(server.service);
  clock.advance(14_999);
  assert.equal(proxy.ended, undefined);
  clock.advance(1);
  const ended = { status: GRPC_STATUS.deadlineExceeded, message: 'no request came' };
  assert.deepEqual(proxy.ended, ended);
});

test('who says that nothing more will come is let go, known or not', async (t) => {
  const { server } = adsHarness({
    authenticate: async () => {
      throw new GrpcStatusError(GRPC_STATUS.unauthenticated, 'authentication failure');
    },
  });
  const { client } = await serveGrpc(t, server.service);
  const unknown = client.stream(FakeProxy.path);
  unknown.finish();
  await unknown.outcome;
  const known = await serveGrpc(t, adsHarness().server.service);
  const stream = known.client.stream(FakeProxy.path);
  stream.finish();
  assert.equal((await stream.outcome).code, GRPC_STATUS.ok);
});

test('who asks too often before it is known is refused', async () => {
  const { server } = adsHarness({ onConnect: () => new Promise(() => {}) });
  const proxy = new FakeProxy(server.service, { node: nodeMessage() });
  for (let count = 0; count < 64; count += 1) proxy.subscribe(CDS);
  await settle();
  assert.equal(proxy.ended, undefined);
  proxy.subscribe(CDS);
  const { resourceExhausted: status } = GRPC_STATUS;
  assert.deepEqual(proxy.ended, { status, message: 'too many requests at once' });
});

test('the control plane is told of a proxy before it gets anything, and of its end', async () => {
  const events: string[] = [];
  const connected = Promise.withResolvers<void>();
  const { server, set } = adsHarness({
    onConnect: async ({ workloadName }) => {
      events.push(`+${workloadName}`);
      await connected.promise;
    },
    onDisconnect: ({ workloadName }) => void events.push(`-${workloadName}`),
  });
  set({ cluster: 'a1' });
  const proxy = new FakeProxy(server.service, { node: nodeMessage() });
  proxy.subscribe(CDS);
  await settle();
  assert.deepEqual(events, ['+app']);
  assert.deepEqual(proxy.news(), []);
  connected.resolve();
  await settle();
  assert.deepEqual(proxy.news(), ['Cluster +a']);
  proxy.disconnect();
  await settle();
  assert.deepEqual(events, ['+app', '-app']);
});

test('a proxy that goes while the control plane is told still comes to its end', async () => {
  const events: string[] = [];
  const connected = Promise.withResolvers<void>();
  let aborted = false;
  const { server } = adsHarness({
    onConnect: (_node, signal) => {
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      return connected.promise;
    },
    onDisconnect: ({ workloadName }) => void events.push(`-${workloadName}`),
  });
  const proxy = new FakeProxy(server.service, { node: nodeMessage() });
  proxy.subscribe(CDS);
  await settle();
  proxy.disconnect();
  assert.equal(aborted, true);
  connected.resolve();
  await settle();
  assert.deepEqual(events, ['-app']);
  assert.deepEqual(server.proxies(), []);
});

test('a proxy that the control plane refuses is not noted as gone', async () => {
  const events: string[] = [];
  const { server } = adsHarness({
    onConnect: () => {
      throw new GrpcStatusError(GRPC_STATUS.permissionDenied, 'no such group');
    },
    onDisconnect: () => void events.push('-'),
  });
  const proxy = new FakeProxy(server.service, { node: nodeMessage() });
  proxy.subscribe(CDS);
  await settle();
  const ended = { status: GRPC_STATUS.permissionDenied, message: 'no such group' };
  assert.deepEqual(proxy.ended, ended);
  assert.deepEqual(events, []);
});
