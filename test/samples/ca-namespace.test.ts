// CA-7: the rights that the sample gives the authority are those that it uses, each of them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { RootConfigMaps } from '#controllers/root-config-maps.ts';
import { ServiceAccountSecrets } from '#controllers/service-account-secrets.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { objectsOf } from '../kit/objects.ts';
import { recordingStore } from '../kit/recording-store.ts';
import { createTestRoot, TEST_TRUST_DOMAIN } from '../kit/test-root.ts';
import { waitUntil } from '../kit/wait-until.ts';

interface ClusterRole extends ApiObject {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

const sample = readFileSync(
  new URL('../../samples/ca-namespace/rbac.yaml', import.meta.url),
  'utf8',
);

/** `verb resource` of every right that the sample gives. */
function granted(): readonly string[] {
  const role = objectsOf(sample).find(({ kind }) => kind === 'ClusterRole') as ClusterRole;
  return role.rules.flatMap(({ apiGroups, resources, verbs }) => {
    assert.deepEqual(apiGroups, ['']);
    return resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`));
  });
}

test('the authority uses every right that the sample gives it, and no other', async (t) => {
  const clock = new FakeClock();
  const deps = { clock, random: systemRandom, log: silentLogger };
  const memory = new MemoryStore(deps);
  const { store, used } = recordingStore(memory);
  const signer = new SelfSignedSigner(await createTestRoot(t, clock));
  const options = { ttlMs: 86_400_000, ttlMsMax: 86_400_000 };
  const issuer = new Issuer(options, { ...deps, signer: () => signer });
  const trustBundle = (): string => issuer.trustBundle;
  const controllers = [
    new RootConfigMaps({ ...deps, store, trustBundle }),
    new ServiceAccountSecrets(
      { trustDomain: TEST_TRUST_DOMAIN, enabledByDefault: true, caNamespace: 'istio-citadel-ns' },
      { ...deps, store, issuer, trustBundle, metrics: new Metrics() },
    ),
  ];
  for (const controller of controllers) {
    t.after(() => controller.close());
    await controller.start();
  }

  const keys = [
    { kind: 'secrets', namespace: 'a', name: 'istio.b' },
    { kind: 'configmaps', namespace: 'a', name: 'istio-ca-root-cert' },
  ] as const;
  const present = (): Promise<readonly ApiObject[]> =>
    waitUntil(async () => {
      const found = await Promise.all(keys.map((key) => memory.get(key)));
      const good = found.filter((object): object is ApiObject => object !== undefined);
      const isRight = (object: ApiObject): boolean =>
        Object.keys((object as { data?: object }).data ?? {}).includes('root-cert.pem');
      return good.length === keys.length && good.every(isRight) ? good : undefined;
    }, 'both objects are right');
  await memory.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
  const account = { name: 'b', namespace: 'a' };
  await memory.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: account });
  for (const damage of [{}, { data: {} }, { data: {}, immutable: true }]) {
    for (const object of await present()) await memory.update({ ...object, ...damage });
  }
  await present();
  // As when the roots of the mesh change.
  for (const controller of controllers) await controller.bundleChanged();

  assert.deepEqual([...used].sort(), [...granted()].sort());
});
