import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { ClusterIps } from '#apiserver/cluster-ips.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';

const service = (name: string, clusterIP: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'a' },
  spec: { clusterIP, ports: [{ port: 80 }] },
});

async function started(test: TestContext, random = systemRandom) {
  const store = new MemoryStore({ clock: systemClock, random, log: silentLogger });
  const addresses = new ClusterIps({ store, random });
  test.after(() => addresses.close());
  await addresses.start();
  return { store, addresses };
}

it('gives addresses of the range, each once', async (test) => {
  const { addresses } = await started(test);
  const given = Array.from({ length: 500 }, (_, index) => addresses.allocate(`a/s${index}`) ?? '');
  assert.equal(new Set(given).size, 500);
  for (const address of given) {
    const [first, second] = address.split('.').map(Number);
    assert.equal(first, 10);
    assert.ok(second !== undefined && second >= 96 && second < 112, address);
  }
});

it('lets a user choose an address that is free, in the range, and nobody else’s', async (test) => {
  const { addresses } = await started(test);
  assert.deepEqual(addresses.claim('10.96.0.50', 'a/one'), { taken: true });
  assert.deepEqual(addresses.claim('10.96.0.50', 'a/one'), { taken: false });
  assert.match(
    addresses.claim('10.96.0.50', 'a/two').problem?.message ?? '',
    /failed to allocate IP 10\.96\.0\.50: provided IP is already allocated/,
  );
  for (const outside of [
    '10.112.0.1',
    '10.95.255.255',
    '10.96.0.0',
    '127.0.0.1',
    'x',
    '10.96.0.999',
  ]) {
    assert.match(addresses.claim(outside, 'a/x').problem?.message ?? '', /not in the valid range/);
  }
  addresses.release('10.96.0.50', 'a/two');
  assert.notEqual(addresses.claim('10.96.0.50', 'a/two').problem, undefined);
  addresses.release('10.96.0.50', 'a/one');
  assert.deepEqual(addresses.claim('10.96.0.50', 'a/two'), { taken: true });
});

it('knows the addresses of services that are there, and those that go', async (test) => {
  const { store, addresses } = await started(test);
  await store.create(service('one', '10.96.1.1'));
  assert.notEqual(addresses.claim('10.96.1.1', 'a/two').problem, undefined);
  await store.update(service('one', '10.96.1.2'));
  assert.deepEqual(addresses.claim('10.96.1.1', 'a/two'), { taken: true });
  await store.delete({ kind: 'services', namespace: 'a', name: 'one' });
  assert.deepEqual(addresses.claim('10.96.1.2', 'a/three'), { taken: true });
});

it('knows after a restart what was given before', async (test) => {
  const { store } = await started(test);
  await store.create(service('one', '10.96.1.1'));
  const again = new ClusterIps({ store, random: systemRandom });
  test.after(() => again.close());
  await again.start();
  assert.notEqual(again.claim('10.96.1.1', 'a/two').problem, undefined);
});

it('has no address to give when it only meets taken ones', async (test) => {
  const { addresses } = await started(test, { ...systemRandom, fraction: () => 0.5 });
  assert.ok(addresses.allocate('a/one'));
  assert.equal(addresses.allocate('a/two'), undefined);
});
