import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { registeredYaml } from '../../../test/kit/mesh-objects.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const WEB = objectsOf(registeredYaml('shop', 'web'));
const CLUSTER = 'outbound|80||web.shop.svc.cluster.local';

/** The version of the cluster of `web` for a proxy whose identity is of that domain. */
function versions(aliases: readonly string[]): (domain: string) => string | undefined {
  const mesh = testMesh(WEB, { trustDomainAliases: aliases.map(parseTrustDomain) });
  return (domain) => {
    const identity = parseSpiffeId(`spiffe://${domain}/ns/shop/sa/caller`);
    const proxy: ProxyNode = { ...testProxy({ namespace: 'shop' }), identity };
    const snapshot = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
    return snapshot.get(TYPE_URL.cluster)?.get(CLUSTER)?.version;
  };
}

test('with several names, clusters change with the name of the proxy, and only then', () => {
  const versionFor = versions(['old.test']);
  const before = versionFor('old.test');
  assert.notEqual(before, undefined);
  assert.notEqual(versionFor('cluster.local'), before);
  assert.equal(versionFor('old.test'), before);
});

test('with one name, clusters do not depend on the proxy', () => {
  const versionFor = versions([]);
  assert.equal(versionFor('old.test'), versionFor('cluster.local'));
});
