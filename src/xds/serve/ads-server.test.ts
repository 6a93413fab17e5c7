import assert from 'node:assert/strict';
import test from 'node:test';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { FakeProxy } from '../../../test/fakes/fake-proxy.ts';
import { adsHarness, nodeMessage, settle } from '../../../test/kit/ads-harness.ts';
import type { PushAnswer } from './ads-server.ts';

const { cluster: CDS, endpoints: EDS, listener: LDS, extensionConfig: ECDS } = TYPE_URL;

test('a proxy gets all clusters and listeners, and of the rest what it names', async () => {
  const { connect, set } = adsHarness();
  set({ cluster: 'a1 b1', endpoints: 'a1 b1', listener: 'l1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  assert.deepEqual(proxy.news(), ['Cluster +a +b']);
  proxy.subscribe(EDS, ['a', 'x']);
  assert.deepEqual(proxy.news(), ['ClusterLoadAssignment +a -x']);
  proxy.ack(CDS);
  proxy.subscribe(LDS);
  assert.deepEqual(proxy.news(), ['Listener +l']);
});

test('who asks for everything gets an answer even when there is nothing', async () => {
  const { connect } = adsHarness();
  const proxy = await connect();
  proxy.subscribe(CDS);
  proxy.subscribe(LDS, ['*']);
  proxy.subscribe(EDS);
  assert.deepEqual(proxy.news(), ['Cluster', 'Listener']);
});

test('proxies that get the same get the same bytes', async () => {
  const { connect, change, set } = adsHarness();
  set({ cluster: 'a1 b1', endpoints: 'a1 b1' });
  const proxies = await Promise.all([connect(), connect()]);
  for (const proxy of proxies) {
    proxy.subscribe(CDS);
    proxy.ackAll();
    proxy.subscribe(EDS, ['b', 'a']);
    proxy.ackAll();
  }
  await change({ cluster: 'a1 b2', endpoints: 'a2 b1' });
  const [one, two] = proxies.map(({ frames }) => frames);
  assert.equal(one?.length, 4);
  for (const [index, frame] of (one ?? []).entries()) assert.equal(frame, two?.[index]);
});

test('a change is sent at once, and only to whom it concerns', async () => {
  const { connect, set, server } = adsHarness();
  set({ cluster: 'a1' });
  const here = await connect();
  const there = await connect({ node: nodeMessage('there') });
  for (const proxy of [here, there]) {
    proxy.subscribe(CDS);
    proxy.ackAll();
    proxy.news();
  }
  set({ cluster: 'a2' });
  server.configChanged(({ workloadName }) => workloadName === 'there');
  await Promise.resolve();
  assert.deepEqual(there.news(), ['Cluster +a']);
  await settle();
  assert.deepEqual(here.news(), []);
});

test('changes while a response is unanswered go into one next response', async () => {
  const { connect, change, set } = adsHarness();
  set({ cluster: 'a1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  await change({ cluster: 'a1 b1' });
  await change({ cluster: 'a1 b2 c1' });
  await change({ cluster: 'a1 c1 d1' });
  assert.deepEqual(proxy.news(), ['Cluster +a']);
  proxy.ack(CDS);
  assert.deepEqual(proxy.news(), ['Cluster +c +d']);
});

test('policies and endpoints wait for nobody', async () => {
  const { connect, change, set } = adsHarness();
  set({ cluster: 'a1', endpoints: 'a1', listener: 'l1', extensionConfig: 'p1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  proxy.subscribe(EDS, ['a']);
  proxy.subscribe(ECDS, ['p']);
  proxy.ack(EDS);
  proxy.news();
  await change({ cluster: 'a2 b1', endpoints: 'a2', listener: 'l1', extensionConfig: 'p1' });
  assert.deepEqual(proxy.news(), ['ClusterLoadAssignment +a']);
  proxy.ack(ECDS);
  await change({ cluster: 'a2 b1', endpoints: 'a3', listener: 'l1', extensionConfig: 'p2' });
  assert.deepEqual(proxy.news(), ['TypedExtensionConfig +p']);
});

test('a proxy for which no configuration can be made keeps what it has', async () => {
  const { connect, change, set, failWith, metrics } = adsHarness();
  set({ cluster: 'a1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  proxy.ackAll();
  proxy.news();
  failWith(new Error('a reference leads nowhere'));
  await change({ cluster: 'b1' });
  assert.deepEqual(proxy.news(), []);
  assert.equal(proxy.ended, undefined);
  assert.match(await metrics.text(), /pilot_total_xds_internal_errors 1/);
  failWith(undefined);
  await change({ cluster: 'c1' });
  assert.deepEqual(proxy.news(), ['Cluster +c', 'Cluster -a'].slice(0, 1));
});

test('a proxy that does not read is cut off and counted, the others are not', async () => {
  const { connect, change, set, metrics } = adsHarness();
  set({ cluster: 'a1' });
  const slow = await connect();
  const quick = await connect();
  for (const proxy of [slow, quick]) {
    proxy.subscribe(CDS);
    proxy.ackAll();
  }
  slow.unsentBytes = LIMITS.xdsUnsentBytesMax;
  await change({ cluster: 'a2' });
  assert.equal(slow.ended, undefined);
  slow.ackAll();
  slow.reads = false;
  await change({ cluster: 'a3' });
  assert.equal(slow.ended, 'reset');
  assert.equal(quick.ended, undefined);
  assert.match(await metrics.text(), /pilot_xds_write_timeout 1/);
});

test('answers are told, with what they answer', async () => {
  const answers: Omit<PushAnswer, 'node'>[] = [];
  const { connect, set } = adsHarness({
    onAnswer: ({ node: _node, resources, ...answer }) => {
      answers.push({
        ...answer,
        resources: resources.map(({ name, version }) => ({ name, version })),
      });
    },
  });
  set({ listener: 'a1 b2' });
  const proxy = await connect();
  proxy.subscribe(LDS);
  proxy.nack(LDS, 'Error adding/updating listener(s) b: no');
  const resources = [
    { name: 'a', version: '1' },
    { name: 'b', version: '2' },
  ];
  const error = 'Error adding/updating listener(s) b: no';
  assert.deepEqual(answers, [{ type: 'lds', resources, removed: [], error }]);
});

test('the status shows what was asked for, sent, taken and rejected', async () => {
  const { connect, set, server, clock, change } = adsHarness();
  set({ cluster: 'a1', listener: 'l1 m1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  const before = clock.now();
  assert.equal(server.proxies()[0]?.types.cds?.synced, false);
  proxy.ack(CDS);
  clock.advance(1000);
  proxy.subscribe(LDS);
  proxy.nack(LDS, 'Error adding/updating listener(s) m: no');
  const [status] = server.proxies();
  assert.equal(status?.nodeId, nodeMessage().id);
  assert.equal(status?.connectedAt, before);
  const { cds, lds, eds } = status?.types ?? {};
  assert.deepEqual(cds, {
    typeUrl: CDS,
    wildcard: true,
    subscribedCount: 0,
    unansweredCount: 0,
    sent: { nonce: '1', at: before },
    acked: { nonce: '1', at: before },
    nacked: undefined,
    rejected: [],
    synced: true,
  });
  const message = 'Error adding/updating listener(s) m: no';
  const at = clock.now();
  assert.deepEqual(lds?.nacked, { nonce: '2', at, message });
  assert.deepEqual(lds?.rejected, [{ name: 'm', version: '1', message, at }]);
  assert.equal(lds?.synced, false);
  assert.equal(eds, undefined);
  await change({ cluster: 'a1', listener: 'l1 m2' });
  proxy.ackAll();
  assert.equal(server.proxies()[0]?.types.lds?.synced, true);
});

test('too many names are refused', async () => {
  const { connect } = adsHarness();
  const names = Array.from({ length: LIMITS.xdsNamesPerTypeMax }, (_, index) => `n${index}`);
  const many = await connect();
  many.subscribe(EDS, names);
  assert.equal(many.ended, undefined);
  many.subscribe(EDS, ['one more']);
  const long = await connect();
  long.subscribe(EDS, ['x'.repeat(LIMITS.xdsNameLengthMax + 1)]);
  const statuses = [many, long].map(({ ended }) => typeof ended === 'object' && ended.status);
  assert.deepEqual(statuses, [GRPC_STATUS.resourceExhausted, GRPC_STATUS.resourceExhausted]);
});

test('closing ends all streams and takes no more', async () => {
  const { connect, server } = adsHarness();
  const proxy = await connect();
  server.close();
  const ended = { status: GRPC_STATUS.unavailable, message: 'the server is closing' };
  assert.deepEqual(proxy.ended, ended);
  const late = new FakeProxy(server.service, { node: nodeMessage() });
  assert.deepEqual(late.ended, ended);
});

test('an answer to what was never sent changes nothing but a counter', async () => {
  const { connect, set, metrics } = adsHarness();
  set({ cluster: 'a1' });
  const proxy = await connect();
  proxy.subscribe(CDS);
  proxy.ack(CDS, '4711');
  assert.match(await metrics.text(), /pilot_xds_expired_nonce\{type="cds"\} 1/);
  proxy.nack(CDS, 'no', '4711');
  assert.equal(proxy.ended, undefined);
  assert.deepEqual(proxy.news(), ['Cluster +a']);
});
