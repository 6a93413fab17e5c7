import assert from 'node:assert/strict';
import test from 'node:test';
import { TYPE_URL } from '#xds/resource.ts';
import { adsHarness, type Mesh, settle } from '../../../test/kit/ads-harness.ts';

// Proves which changes count as in force in a proxy: those that it took, and no others.

const { listener: LDS, extensionConfig: ECDS } = TYPE_URL;

/** A server whose source has versions, and a proxy that asks for listeners and policies a and b. */
async function setUp(mesh: Mesh) {
  const harness = adsHarness();
  harness.set(mesh);
  const proxy = await harness.connect();
  const change = (next: Mesh) => harness.change(next);
  const of = (type: 'lds' | 'ecds') => harness.server.progress()[0]?.types[type];
  return { ...harness, proxy, change, of };
}

test('nothing is in force before the first answer, and all of a version after it', async () => {
  const { proxy, of, version } = await setUp({ listener: 'l1' });
  proxy.subscribe(LDS);
  assert.deepEqual(of('lds'), { version: -1, refused: [], isWaiting: true });
  proxy.ack(LDS);
  assert.deepEqual(of('lds'), { version: version(), refused: [], isWaiting: false });
});

test('a change that is no change for a proxy is in force at once', async () => {
  const { proxy, of, change, version } = await setUp({ listener: 'l1', extensionConfig: 'a1' });
  proxy.subscribe(LDS);
  proxy.subscribe(ECDS, ['a']);
  proxy.ackAll();
  await change({ listener: 'l1', extensionConfig: 'a2' });
  assert.equal(of('lds')?.version, version());
  assert.equal(of('ecds')?.version, version() - 1);
});

test('a change counts once it is answered, although the next is on its way', async () => {
  const { proxy, of, change, version } = await setUp({ extensionConfig: 'a1' });
  proxy.subscribe(ECDS, ['a']);
  proxy.ackAll();
  await change({ extensionConfig: 'a2' });
  await change({ extensionConfig: 'a3' });
  proxy.ack(ECDS);
  assert.deepEqual(of('ecds'), { version: version() - 1, refused: [], isWaiting: true });
});

test('what is refused is told with its words and the version since which it is', async () => {
  const { proxy, of, change, version } = await setUp({ extensionConfig: 'a1 b1' });
  proxy.subscribe(ECDS, ['a', 'b']);
  proxy.ackAll();
  await change({ extensionConfig: 'a2 b1' });
  const since = version();
  proxy.nack(ECDS, 'no such thing');
  const refused = [{ name: 'a', message: 'no such thing', since }];
  assert.deepEqual(of('ecds'), { version: since, refused, isWaiting: false });
  await change({ extensionConfig: 'a3 b1' });
  assert.deepEqual(of('ecds')?.refused, refused, 'until the next form is answered');
  proxy.nack(ECDS, 'nor such');
  assert.deepEqual(of('ecds')?.refused, [{ name: 'a', message: 'nor such', since }]);
  await change({ extensionConfig: 'a4 b1' });
  proxy.ack(ECDS);
  assert.deepEqual(of('ecds'), { version: version(), refused: [], isWaiting: false });
});

test('a proxy that refuses the first form has nothing to go on with', async () => {
  const { proxy, of } = await setUp({ extensionConfig: 'a1' });
  proxy.subscribe(ECDS, ['a']);
  proxy.nack(ECDS, 'bad');
  assert.deepEqual(of('ecds')?.refused, [{ name: 'a', message: 'bad', since: 0 }]);
});

test('nothing of a version counts while who is at fault is still looked for', async () => {
  const { proxy, of, change, version } = await setUp({ extensionConfig: 'a1 b1' });
  proxy.subscribe(ECDS, ['a', 'b']);
  proxy.ackAll();
  await change({ extensionConfig: 'a2 b2' });
  proxy.nack(ECDS, 'one of them is bad');
  assert.deepEqual(of('ecds'), { version: version() - 1, refused: [], isWaiting: true });
  proxy.ack(ECDS);
  assert.equal(of('ecds')?.version, version() - 1, 'the other half is still out');
  proxy.nack(ECDS, 'bad');
  assert.equal(of('ecds')?.version, version());
  assert.deepEqual(
    of('ecds')?.refused.map(({ name }) => name),
    ['b'],
  );
});

test('a proxy that asks for more does not have it yet', async () => {
  const { proxy, of, version } = await setUp({ extensionConfig: 'a1 b1' });
  proxy.subscribe(ECDS, ['a']);
  proxy.ackAll();
  assert.equal(of('ecds')?.version, version());
  proxy.subscribe(ECDS, ['b']);
  assert.equal(of('ecds')?.version, -1);
  proxy.ackAll();
  assert.equal(of('ecds')?.version, version());
});

test('a refusal ends with what was refused', async () => {
  const { proxy, of, change } = await setUp({ extensionConfig: 'a1 b1' });
  proxy.subscribe(ECDS, ['a', 'b']);
  proxy.ackAll();
  await change({ extensionConfig: 'a1 b2' });
  proxy.nack(ECDS, 'bad');
  await change({ extensionConfig: 'a1' });
  assert.deepEqual(of('ecds')?.refused, []);
});

test('that nothing can be made for a proxy is told, until it can be again', async () => {
  const { server, failWith, change } = await setUp({ listener: 'l1' });
  failWith(new Error('a name is missing'));
  server.configChanged();
  await settle();
  assert.match(server.progress()[0]?.failure ?? '', /a name is missing/);
  assert.match(server.proxies()[0]?.failure ?? '', /a name is missing/);
  failWith(undefined);
  await change({ listener: 'l1' });
  assert.equal(server.progress()[0]?.failure, undefined);
});
