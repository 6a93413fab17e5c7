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

const configMap = (mesh: string, namespace = 'istio-system', name = 'istio'): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
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
  const flags = { outboundTraffic: 'ALLOW_ANY', sharedMeshConfig: 'shared' };
  const mesh = new Mesh(resolveSettings({ env: {}, flags }));
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

test('what is shared holds where the own configuration says nothing else', async (t) => {
  const shared = (mesh: string) => configMap(mesh, 'istio-system', 'shared');
  const provider = (name: string, port: number) =>
    `{ name: ${name}, envoyExtAuthzGrpc: { service: authz.a, port: ${port} } }`;
  const providers = (...all: readonly string[]) => `extensionProviders: [${all.join(', ')}]`;
  const { store, mesh } = await watched(
    t,
    shared(`${REGISTRY_ONLY}\n${providers(provider('a', 1), provider('b', 1))}`),
    configMap(providers(provider('b', 2))),
  );
  const asked = () => mesh.settings.extensionProviders.map(({ name, port }) => `${name}:${port}`);
  assert.equal(mesh.settings.outboundTraffic, 'REGISTRY_ONLY');
  assert.deepEqual(asked(), ['a:1', 'b:2']);
  await store.update(configMap('outboundTrafficPolicy: { mode: ALLOW_ANY }'));
  assert.equal(mesh.settings.outboundTraffic, 'ALLOW_ANY');
  assert.deepEqual(asked(), ['a:1', 'b:1']);
  await store.update(shared('outboundTrafficPolicy: { mode: SOMETIMES }'));
  assert.deepEqual(asked(), ['a:1', 'b:1'], 'a text that cannot be read changes nothing');
  await store.update(configMap(REGISTRY_ONLY));
  assert.equal(mesh.settings.outboundTraffic, 'REGISTRY_ONLY', 'nor keeps the other from counting');
  await store.delete({ kind: 'configmaps', namespace: 'istio-system', name: 'shared' });
  assert.deepEqual(asked(), []);
});
