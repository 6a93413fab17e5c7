import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { WorkloadRegistration } from '#controllers/workload-registration.ts';
import type { RegisteringProxy } from '#model/registration.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

const GRACE_MS = 10_000;
const RESTART_GRACE_MS = 60_000;

const group = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadGroup',
  metadata: { name: 'photo-backend', namespace: 'photo-ns' },
  spec: {
    metadata: { labels: { app: 'photo-backend' } },
    template: { serviceAccount: 'photo-backend', ports: { http: 8080 } },
  },
} as ApiObject;

const proxy: RegisteringProxy = {
  namespace: 'photo-ns',
  serviceAccount: 'photo-backend',
  workloadName: 'photo-backend',
  labels: {},
  addresses: ['127.0.0.1'],
  group: 'photo-backend',
  explicit: {
    inboundAddress: '127.0.0.1',
    inbound: [{ name: 'http', port: 8080, listen: 31_000 }],
  },
};

let clock: FakeClock;
let store: MemoryStore;
let registration: WorkloadRegistration;

async function entries(): Promise<readonly ApiObject[]> {
  return (await store.list('workloadentries.networking.istio.io')).items;
}

/** Lets the promises of a timer's work settle. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function make(): WorkloadRegistration {
  const options = { graceMs: GRACE_MS, restartGraceMs: RESTART_GRACE_MS };
  return new WorkloadRegistration(options, { store, clock, log: silentLogger });
}

describe('workload registration', () => {
  beforeEach(async () => {
    clock = new FakeClock();
    store = new MemoryStore({ clock, random: systemRandom, log: silentLogger });
    const metadata = { name: 'photo-ns' };
    await store.create({ apiVersion: 'v1', kind: 'Namespace', metadata });
    await store.create(group);
    registration = make();
    await registration.start();
  });

  it('writes an entry with identity and labels of the group and ports of the proxy', async () => {
    await registration.connected(proxy);
    const [entry, ...more] = await entries();
    assert.equal(more.length, 0);
    const spec = (entry as unknown as { spec: Record<string, unknown> }).spec;
    assert.equal(spec.serviceAccount, 'photo-backend');
    assert.deepEqual(spec.ports, { http: 31_000 });
    assert.equal(entry?.metadata.labels?.app, 'photo-backend');
  });

  it('refuses a proxy that runs under another service account', async () => {
    await registration.connected({ ...proxy, serviceAccount: 'photo-frontend' });
    assert.deepEqual(await entries(), []);
  });

  it('refuses a group that is not there, and does nothing for proxies without one', async () => {
    await registration.connected({ ...proxy, group: 'other' });
    await registration.connected({ ...proxy, group: undefined });
    assert.deepEqual(await entries(), []);
  });

  it('writes nothing into a namespace that is gone', async () => {
    await store.delete({ kind: 'namespaces', namespace: '', name: 'photo-ns' });
    await registration.connected(proxy);
    assert.deepEqual(await entries(), []);
  });

  it('keeps the entry while the proxy reconnects in time', async () => {
    await registration.connected(proxy);
    registration.disconnected(proxy);
    clock.advance(GRACE_MS - 1);
    await registration.connected(proxy);
    clock.advance(GRACE_MS * 2);
    await settled();
    assert.equal((await entries()).length, 1);
  });

  it('takes the entry away some time after the last connection went', async () => {
    await registration.connected(proxy);
    await registration.connected(proxy);
    registration.disconnected(proxy);
    clock.advance(GRACE_MS * 2);
    await settled();
    assert.equal((await entries()).length, 1, 'one connection is left');
    registration.disconnected(proxy);
    clock.advance(GRACE_MS);
    await settled();
    assert.deepEqual(await entries(), []);
  });

  it('writes nothing when nothing changed, and the new port when it did', async () => {
    await registration.connected(proxy);
    const [first] = await entries();
    await registration.connected(proxy);
    const [second] = await entries();
    assert.equal(second?.metadata.resourceVersion, first?.metadata.resourceVersion);
    const explicit = {
      inboundAddress: '127.0.0.1',
      inbound: [{ name: 'http', port: 8080, listen: 32_000 }],
    };
    await registration.connected({ ...proxy, explicit });
    const [third] = await entries();
    assert.deepEqual((third as unknown as { spec: { ports: unknown } }).spec.ports, {
      http: 32_000,
    });
  });

  it('takes away what an earlier run left, and leaves what users wrote', async () => {
    await registration.connected(proxy);
    await store.create({
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'by-hand', namespace: 'photo-ns' },
      spec: { address: '127.0.0.1' },
    } as ApiObject);
    await registration.close();
    const next = make();
    await next.start();
    clock.advance(RESTART_GRACE_MS - 1);
    await settled();
    assert.equal((await entries()).length, 2, 'proxies have time to come back');
    clock.advance(1);
    await settled();
    assert.deepEqual(
      (await entries()).map(({ metadata }) => metadata.name),
      ['by-hand'],
    );
    await next.close();
  });
});
