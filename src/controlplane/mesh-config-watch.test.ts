import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigMap } from '#api/kinds/config-map.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { resolveSettings } from '#base/settings.ts';
import { Mesh } from '#controlplane/mesh.ts';
import { MeshConfigWatch } from '#controlplane/mesh-config-watch.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';

const configMap = (mesh: string, namespace = 'istio-system'): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace },
  data: { mesh },
});

/** A running watch, and how often it told of a change. */
async function watched(t: { after(run: () => Promise<void>): void }, ...before: ConfigMap[]) {
  const store = new MemoryStore({
    clock: new FakeClock(),
    random: systemRandom,
    log: silentLogger,
  });
  for (const object of before) await store.create(object);
  const mesh = new Mesh(resolveSettings({ env: {}, flags: { outboundTraffic: 'ALLOW_ANY' } }));
  let changes = 0;
  const onChange = (): void => {
    changes += 1;
  };
  const watch = new MeshConfigWatch({ store, mesh, onChange, log: silentLogger });
  await watch.start();
  t.after(async () => {
    await watch.close();
    await store.close();
  });
  return { store, mesh, changes: () => changes };
}

const REGISTRY_ONLY = 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }';

test('the ConfigMap istio of the root namespace decides, and what it leaves out is as started', async (t) => {
  const { store, mesh, changes } = await watched(t, configMap(REGISTRY_ONLY));
  assert.equal(mesh.settings.outboundTraffic, 'REGISTRY_ONLY');
  assert.equal(mesh.model.snapshot().settings, mesh.settings);
  await store.update(configMap('pathNormalization: { normalization: NONE }'));
  assert.equal(mesh.settings.outboundTraffic, 'ALLOW_ANY');
  assert.equal(mesh.settings.pathNormalization, 'NONE');
  await store.delete({ kind: 'configmaps', namespace: 'istio-system', name: 'istio' });
  assert.equal(mesh.settings.pathNormalization, 'DECODE_AND_MERGE_SLASHES');
  assert.equal(changes(), 3);
});

test('a text that cannot be read, or another namespace, changes nothing', async (t) => {
  const { store, mesh, changes } = await watched(t, configMap(REGISTRY_ONLY));
  await store.update(configMap('outboundTrafficPolicy: { mode: SOMETIMES }'));
  await store.create(configMap('enableAutoMtls: false', 'elsewhere'));
  assert.equal(mesh.settings.outboundTraffic, 'REGISTRY_ONLY');
  assert.equal(mesh.settings.autoMtls, true);
  assert.equal(changes(), 1);
});
