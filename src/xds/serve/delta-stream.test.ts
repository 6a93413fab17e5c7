import assert from 'node:assert/strict';
import test from 'node:test';
import { present } from '#base/assert.ts';
import { TYPE_URL } from '#xds/resource.ts';
import type { FakeProxy } from '../../../test/fakes/fake-proxy.ts';
import { adsHarness, type Mesh } from '../../../test/kit/ads-harness.ts';

// Proves the order of responses on one stream, and what follows from answers and their absence.

const { cluster: CDS, endpoints: EDS, listener: LDS, route: RDS, secret: SDS } = TYPE_URL;
const ECDS = TYPE_URL.extensionConfig;

/** A proxy that asked for everything in `mesh` and took it. */
async function settled(mesh: Mesh) {
  const harness = adsHarness();
  harness.set(mesh);
  const proxy = await harness.connect();
  proxy.subscribe(CDS);
  proxy.ackAll();
  for (const [url, text] of [
    [EDS, mesh.endpoints],
    [RDS, mesh.route],
    [SDS, mesh.secret],
    [TYPE_URL.extensionConfig, mesh.extensionConfig],
  ] as const) {
    const names = text?.split(' ').map((word) => word.slice(0, 1));
    if (names) proxy.subscribe(url, names);
    proxy.ackAll();
  }
  proxy.subscribe(LDS);
  proxy.ackAll();
  proxy.news();
  const { change, clock, server } = harness;
  const status = () => server.proxies()[0]?.types;
  return { proxy, change, clock, status };
}

const first = (proxy: FakeProxy, type: string, nth: number): string =>
  proxy.responses.filter((response) => response.type === type)[nth]?.nonce ?? '';

test('the order is make before break: listeners and routes follow new clusters', async () => {
  const mesh = {
    cluster: 'a1',
    endpoints: 'a1',
    listener: 'l1',
    route: 'r1',
    extensionConfig: 'p1',
  };
  const { proxy, change } = await settled(mesh);
  await change({
    cluster: 'b1',
    endpoints: 'a2',
    listener: 'l2 m1',
    route: 'r2',
    extensionConfig: 'p2',
  });
  assert.deepEqual(proxy.news(), [
    'Cluster +b',
    'ClusterLoadAssignment +a',
    'TypedExtensionConfig +p',
  ]);
  proxy.ack(EDS);
  assert.deepEqual(proxy.news(), []);
  proxy.ack(CDS);
  assert.deepEqual(proxy.news(), ['RouteConfiguration +r']);
  proxy.ack(ECDS);
  assert.deepEqual(proxy.news(), ['Listener +l +m']);
  proxy.ack(LDS);
  assert.deepEqual(proxy.news(), []);
  proxy.ack(RDS);
  assert.deepEqual(proxy.news(), ['Cluster -a']);
});

test('without new clusters, listeners and routes wait for nobody', async () => {
  const { proxy, change } = await settled({ cluster: 'a1', listener: 'l1', route: 'r1' });
  await change({ cluster: 'a2', listener: 'l2', route: 'r2' });
  assert.deepEqual(proxy.news(), ['Cluster +a', 'Listener +l', 'RouteConfiguration +r']);
});

test('listeners that change wait for policies, no longer than a bound', async () => {
  const { proxy, change, clock } = await settled({ listener: 'l1', extensionConfig: 'p1' });
  await change({ listener: 'l2', extensionConfig: 'p2' });
  assert.deepEqual(proxy.news(), ['TypedExtensionConfig +p']);
  proxy.ack(ECDS);
  assert.deepEqual(proxy.news(), ['Listener +l']);
  proxy.ack(LDS);
  await change({ listener: 'l3', extensionConfig: 'p3' });
  clock.advance(9_999);
  assert.deepEqual(proxy.news(), ['TypedExtensionConfig +p']);
  clock.advance(1);
  assert.deepEqual(proxy.news(), ['Listener +l']);
});

test('policies that the proxy refuses do not hold back listeners', async () => {
  const { proxy, change } = await settled({ listener: 'l1', extensionConfig: 'p1' });
  await change({ listener: 'l2', extensionConfig: 'p2' });
  proxy.news();
  proxy.nack(ECDS, 'wrong type');
  assert.deepEqual(proxy.news(), ['Listener +l']);
});

test('listeners wait for clusters no longer than a bound', async () => {
  const { proxy, change, clock } = await settled({ cluster: 'a1', listener: 'l1' });
  await change({ cluster: 'a1 b1', listener: 'l2' });
  assert.deepEqual(proxy.news(), ['Cluster +b']);
  clock.advance(999);
  assert.deepEqual(proxy.news(), []);
  clock.advance(1);
  assert.deepEqual(proxy.news(), ['Listener +l']);
});

test('listeners do not overtake clusters that wait themselves', async () => {
  const { proxy, change, clock } = await settled({ cluster: 'a1', listener: 'l1' });
  await change({ cluster: 'a2', listener: 'l1' });
  await change({ cluster: 'a2 b1', listener: 'l2' });
  assert.deepEqual(proxy.news(), ['Cluster +a']);
  clock.advance(1000);
  assert.deepEqual(proxy.news(), ['Cluster +b', 'Listener +l']);
});

test('removed clusters wait for listeners no longer than a bound', async () => {
  const { proxy, change, clock } = await settled({ cluster: 'a1 b1', listener: 'l1' });
  await change({ cluster: 'a1', listener: 'l2' });
  assert.deepEqual(proxy.news(), ['Listener +l']);
  clock.advance(9_999);
  assert.deepEqual(proxy.news(), []);
  clock.advance(1);
  assert.deepEqual(proxy.news(), ['Cluster -b']);
});

test('a cluster that comes back before its removal was sent stays', async () => {
  const { proxy, change } = await settled({ cluster: 'a1 b1', listener: 'l1' });
  await change({ cluster: 'a1', listener: 'l2' });
  await change({ cluster: 'a1 b1', listener: 'l2' });
  proxy.ackAll();
  assert.deepEqual(proxy.news(), ['Listener +l']);
});

test('listeners are removed and added in one response, for they may share a port', async () => {
  const { proxy, change } = await settled({ cluster: 'a1', listener: 'l1' });
  await change({ cluster: 'a1', listener: 'm1' });
  assert.deepEqual(proxy.news(), ['Listener +m -l']);
});

test('a changed cluster brings its endpoints again', async () => {
  const { proxy, change } = await settled({ cluster: 'a1 b1', endpoints: 'a1 b1' });
  await change({ cluster: 'a2 b1', endpoints: 'a1 b1' });
  assert.deepEqual(proxy.news(), ['Cluster +a', 'ClusterLoadAssignment +a']);
});

test('secrets, routes and filters are not withdrawn while they are asked for', async () => {
  const mesh = { secret: 's1', route: 'r1', extensionConfig: 'p1', endpoints: 'e1' };
  const { proxy, change } = await settled(mesh);
  await change({});
  assert.deepEqual(proxy.news(), ['ClusterLoadAssignment -e']);
});

test('a bad resource among good ones is found, and the good ones arrive', async () => {
  const { proxy, change, status } = await settled({ extensionConfig: 'a1 b1 c1 d1 e1' });
  const url = TYPE_URL.extensionConfig;
  await change({ extensionConfig: 'a2 b2 c2 d2 e2' });
  const got = new Set<string>();
  for (let at = proxy.responses.length - 1; at < proxy.responses.length; at += 1) {
    const { names, nonce } = present(proxy.responses[at], 'a response');
    const bad = names.includes('c') || names.includes('d');
    if (bad) proxy.nack(url, 'wrong type', nonce);
    else for (const name of names) got.add(name);
    if (!bad) proxy.ack(url, nonce);
  }
  assert.deepEqual([...got].sort(), ['a', 'b', 'e']);
  assert.deepEqual(
    status()
      ?.ecds?.rejected.map(({ name }) => name)
      .sort(),
    ['c', 'd'],
  );
  assert.ok(proxy.responses.length < 40, `${proxy.responses.length} responses`);
});

test('a rejected resource gets another chance after a later success, and only then', async () => {
  const { proxy, change, status } = await settled({ secret: 'c1 r1' });
  await change({ secret: 'c2 r1' });
  proxy.nack(SDS, 'key values mismatch');
  await change({ secret: 'c2 r2' });
  proxy.nack(SDS, 'key values mismatch');
  assert.deepEqual(proxy.news(), ['Secret +c', 'Secret +r']);
  assert.equal(status()?.sds?.rejected.length, 2);
  await change({ secret: 'c3 r2' });
  proxy.ack(SDS);
  assert.deepEqual(proxy.news(), ['Secret +c', 'Secret +r']);
  proxy.ack(SDS);
  assert.deepEqual(proxy.news(), []);
  assert.equal(status()?.sds?.synced, true);
});

test('what was put right or is gone is rejected no longer', async () => {
  const { proxy, change, status } = await settled({ cluster: '', listener: 'l1 m1' });
  await change({ listener: 'l2 m2' });
  proxy.nack(LDS, 'Error adding/updating listener(s) l: no, m: no');
  assert.equal(status()?.lds?.rejected.length, 2);
  await change({ listener: 'm3' });
  proxy.ack(LDS);
  assert.deepEqual(status()?.lds?.rejected, []);
  assert.equal(status()?.lds?.synced, true);
});

test('a rejected change of a cluster is undone, a rejected new cluster is taken away', async () => {
  const { proxy, change } = await settled({ cluster: 'a1', endpoints: 'a1' });
  await change({ cluster: 'a2 n1', endpoints: 'a1' });
  proxy.ack(EDS);
  proxy.news();
  proxy.nack(CDS, 'Error adding/updating cluster(s) a: bad, n: bad');
  assert.deepEqual(proxy.news(), ['Cluster +a -n', 'ClusterLoadAssignment +a']);
  assert.deepEqual(proxy.last('Cluster')?.versions, ['1']);
  proxy.ackAll();
  await change({ cluster: 'a3 n1', endpoints: 'a1' });
  proxy.ack(EDS);
  proxy.nack(CDS, 'Error adding/updating cluster(s) a: bad');
  assert.deepEqual(proxy.last('Cluster')?.versions, ['1'], 'the last one that was good');
});

test('a cluster of which only the version is known is left alone when its change is rejected', async () => {
  const { connect, set } = adsHarness();
  set({ cluster: 'a2 n1' });
  const proxy = await connect();
  proxy.subscribe(CDS, [], { a: '1' });
  proxy.nack(CDS, 'Error adding/updating cluster(s) a: bad, n: bad');
  assert.deepEqual(proxy.news(), ['Cluster +a +n', 'Cluster -n']);
});

test('after a long silence new clusters are taken away once, and those not at fault come back', async () => {
  const { proxy, change, clock, status } = await settled({ cluster: 'a1' });
  await change({ cluster: 'a2 b1 c1' });
  const silenced = first(proxy, 'Cluster', 1);
  clock.advance(19_999);
  assert.deepEqual(proxy.news(), ['Cluster +a +b +c']);
  clock.advance(1);
  assert.deepEqual(proxy.news(), ['Cluster -b -c']);
  proxy.nack(CDS, 'Error adding/updating cluster(s) b: bad', silenced);
  proxy.ack(CDS, first(proxy, 'Cluster', 2));
  proxy.ackAll();
  assert.deepEqual(proxy.news(), ['Cluster -b', 'Cluster +c']);
  assert.deepEqual(
    status()?.cds?.rejected.map(({ name }) => name),
    ['b'],
  );
  proxy.ackAll();
  clock.advance(100_000);
  assert.deepEqual(proxy.news(), []);
});

test('when the silence goes on, the clusters come back all the same, and it is not tried again', async () => {
  const { proxy, change, clock } = await settled({ cluster: 'a1' });
  await change({ cluster: 'a1 b1' });
  clock.advance(20_000);
  clock.advance(2000);
  assert.deepEqual(proxy.news(), ['Cluster +b', 'Cluster -b', 'Cluster +b']);
  clock.advance(200_000);
  assert.deepEqual(proxy.news(), []);
});

test('after a new connection only what differs is sent, and what ended is told', async () => {
  const { connect, set } = adsHarness();
  set({ cluster: 'a1 b2', endpoints: 'a1', listener: 'l1' });
  const proxy = await connect();
  proxy.subscribe(CDS, [], { a: '1', b: '1', z: '1' });
  assert.deepEqual(proxy.news(), ['Cluster +b']);
  proxy.subscribe(EDS, ['a', 'b'], { a: '1' });
  assert.deepEqual(proxy.news(), ['ClusterLoadAssignment -b']);
  proxy.ackAll();
  proxy.subscribe(LDS, [], { l: '1' });
  assert.deepEqual(proxy.news(), ['Cluster -z']);
});

test('a proxy that asks for listeners but not for clusters gets clusters after a while', async () => {
  const { connect, set, clock } = adsHarness();
  set({ cluster: 'a1', listener: 'l1' });
  const proxy = await connect();
  proxy.subscribe(LDS, [], { l: '1' });
  clock.advance(999);
  assert.deepEqual(proxy.news(), []);
  clock.advance(1);
  assert.deepEqual(proxy.news(), ['Cluster +a']);
  clock.advance(100_000);
  assert.deepEqual(proxy.news(), [], 'nothing is taken away that may be in use');
  proxy.subscribe(CDS, [], { a: '1', z: '1' });
  clock.advance(1000);
  assert.deepEqual(proxy.news(), ['Cluster -z']);
});
