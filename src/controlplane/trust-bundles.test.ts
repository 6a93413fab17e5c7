// What agents are told of trust domains.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import { trustBundles } from '#controlplane/trust-bundles.ts';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { MeshModel } from '#model/mesh-model.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import type { XdsResource } from '#xds/resource.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';

function contentOf({ encoded }: XdsResource) {
  const any = fromBinary(ResourceSchema, encoded).resource;
  const { type } = fromBinary(SecretSchema, any?.value ?? new Uint8Array());
  assert.ok(type.case === 'genericSecret');
  const bytes = type.value.secret?.specifier.value as Uint8Array;
  return JSON.parse(Buffer.from(bytes).toString());
}

test('agents are told what vouches for each name of the mesh, and for others', () => {
  const [own, former] = ['own.test', 'former.test'].map(parseTrustDomain);
  assert.ok(own && former);
  const model = new MeshModel(meshSettings(own, { trustDomainAliases: [former] }));
  const object = (trustDomain: string): TrustBundle => ({
    apiVersion: trustBundle.apiVersion,
    kind: trustBundle.kind,
    metadata: { name: trustDomain },
    spec: { trustDomain, bundle: testAuthority('other').root },
  });
  for (const domain of ['other.test', own, former])
    model.apply([{ type: 'ADDED', kind: trustBundle.id, object: object(domain) }]);
  const { root } = testAuthority('own');
  const deps = { authority: { rootPem: root as never }, jwtKeys: { authorities: [] } };
  const { own: names, trust_domains: domains } = contentOf(trustBundles(model.snapshot(), deps));
  assert.deepEqual(names, [own, former]);
  assert.deepEqual(Object.keys(domains).sort(), [former, 'other.test', own]);
  assert.deepEqual(domains[own], domains[former]);
  const rootOf = (domain: string): string => domains[domain].keys[0].x5c[0];
  assert.equal(rootOf(own), root.replaceAll(/-----.*-----|\s/g, ''));
  assert.notEqual(rootOf('other.test'), rootOf(own));
});
