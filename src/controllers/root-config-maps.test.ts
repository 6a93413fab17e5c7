import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { ConfigMap } from '#api/kinds/config-map.ts';
import type { ApiObject } from '#api/object.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { RootConfigMaps } from '#controllers/root-config-maps.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const KEY = 'root-cert.pem';
const keyIn = (namespace: string) =>
  ({ kind: 'configmaps', namespace, name: 'istio-ca-root-cert' }) as const;

async function setUp(t: TestContext) {
  const clock = new FakeClock();
  const deps = { clock, random: systemRandom, log: silentLogger };
  const store = new MemoryStore(deps);
  const world = { bundle: 'roots 1' };
  const controller = new RootConfigMaps({ ...deps, store, trustBundle: () => world.bundle });
  t.after(() => controller.close());
  const addNamespace = (name: string) =>
    store.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await addNamespace('old');
  const read = async (namespace: string) =>
    (await store.get(keyIn(namespace))) as ConfigMap | undefined;
  const reads = (namespace: string, roots: string): Promise<ConfigMap | undefined> =>
    waitUntil(async () => {
      const found = await read(namespace);
      return found?.data?.[KEY] === roots ? found : undefined;
    }, `the ConfigMap in ${namespace}`);
  return { store, world, controller, addNamespace, read, reads };
}

describe('the root certificate', () => {
  it('is in every namespace, old and new, and follows the roots of the mesh', async (t) => {
    const { controller, world, addNamespace, reads } = await setUp(t);
    await controller.start();
    await addNamespace('new');
    for (const namespace of ['old', 'new']) await reads(namespace, 'roots 1');
    world.bundle = 'roots 2';
    await controller.bundleChanged();
    for (const namespace of ['old', 'new']) await reads(namespace, 'roots 2');
  });

  it('is put right whoever changed, froze or deleted it; what else is there stays', async (t) => {
    const { controller, store, reads } = await setUp(t);
    await controller.start();
    const before = (await reads('old', 'roots 1')) as ConfigMap;
    await store.update({ ...before, data: { [KEY]: 'evil', mine: 'x' } } as ApiObject);
    const mended = await reads('old', 'roots 1');
    assert.equal(mended?.data?.mine, 'x');
    await store.update({ ...mended, data: { [KEY]: 'evil' }, immutable: true } as ApiObject);
    await reads('old', 'roots 1');
    await store.delete(keyIn('old'));
    await reads('old', 'roots 1');
  });

  it('is not put into a namespace that is being deleted', async (t) => {
    const { controller, store, addNamespace, read, reads } = await setUp(t);
    const deletionTimestamp = '2026-01-01T00:00:00Z';
    const metadata = { name: 'going', deletionTimestamp };
    await store.create({ apiVersion: 'v1', kind: 'Namespace', metadata });
    await controller.start();
    await addNamespace('zzz');
    await reads('zzz', 'roots 1');
    assert.equal(await read('going'), undefined);
  });
});
