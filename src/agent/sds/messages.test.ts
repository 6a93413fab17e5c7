import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  decodeDeltaRequest,
  decodeWorldRequest,
  encodeDeltaResponse,
  encodeSpiffeContext,
  encodeTlsCertificate,
  encodeValidationContext,
  encodeWorldResponse,
  SECRET_TYPE_URL,
} from '#agent/sds/messages.ts';
import {
  type Secret,
  SecretSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { SPIFFECertValidatorConfigSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';

const CERTIFICATE = {
  name: 'default',
  version: 'v1',
  secret: encodeTlsCertificate('default', 'CHAIN', 'KEY'),
};
const ROOTS = {
  name: 'ROOTCA',
  version: 'v2',
  secret: encodeValidationContext('ROOTCA', { rootsPem: 'ROOTS' }),
};

function inlineOf(
  source: { specifier: { case?: string | undefined; value?: unknown } } | undefined,
) {
  assert.equal(source?.specifier.case, 'inlineBytes');
  return Buffer.from(source.specifier.value as Uint8Array).toString();
}

function checkCertificate(secret: Secret | undefined): void {
  assert.equal(secret?.name, 'default');
  assert.ok(secret.type.case === 'tlsCertificate');
  assert.equal(inlineOf(secret.type.value.certificateChain), 'CHAIN');
  assert.equal(inlineOf(secret.type.value.privateKey), 'KEY');
}

describe('the messages of SDS', () => {
  it('with roots by trust domain are read alike by the generated code', () => {
    const byDomain = new Map([
      ['own.test', 'OWN'],
      ['other.test', 'OTHER'],
    ]);
    const secret = fromBinary(SecretSchema, encodeSpiffeContext('FEDERATED', byDomain));
    assert.equal(secret.name, 'FEDERATED');
    assert.ok(secret.type.case === 'validationContext');
    const { customValidatorConfig, trustedCa } = secret.type.value;
    assert.equal(trustedCa, undefined);
    assert.equal(customValidatorConfig?.name, 'envoy.tls.cert_validator.spiffe');
    const config = customValidatorConfig.typedConfig;
    const validator = config && anyUnpack(config, SPIFFECertValidatorConfigSchema);
    assert.deepEqual(
      validator?.trustDomains.map(({ name, trustBundle }) => [name, inlineOf(trustBundle)]),
      [...byDomain],
    );
  });

  it('that we write are read alike by the generated code, incremental', () => {
    const bytes = encodeDeltaResponse([CERTIFICATE, ROOTS], ['none'], '7');
    const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    assert.equal(response.typeUrl, SECRET_TYPE_URL);
    assert.equal(response.nonce, '7');
    assert.deepEqual(response.removedResources, ['none']);
    const [first, second] = response.resources;
    assert.deepEqual([first?.name, first?.version], ['default', 'v1']);
    checkCertificate(first?.resource && anyUnpack(first.resource, SecretSchema));
    const roots = second?.resource && anyUnpack(second.resource, SecretSchema);
    assert.ok(roots?.type.case === 'validationContext');
    assert.equal(inlineOf(roots.type.value.trustedCa), 'ROOTS');
    assert.deepEqual(response.$unknown ?? [], []);
  });

  it('that we write are read alike by the generated code, state of the world', () => {
    const bytes = encodeWorldResponse([CERTIFICATE], 'v1', '8');
    const response = fromBinary(DiscoveryResponseSchema, bytes);
    assert.deepEqual([response.typeUrl, response.nonce], [SECRET_TYPE_URL, '8']);
    assert.equal(response.versionInfo, 'v1');
    const [resource] = response.resources;
    checkCertificate(resource && anyUnpack(resource, SecretSchema));
  });

  it('that the generated code writes are read alike by us', () => {
    const delta = create(DeltaDiscoveryRequestSchema, {
      node: { id: 'sidecar~x', userAgentName: 'envoy' },
      typeUrl: SECRET_TYPE_URL,
      resourceNamesSubscribe: ['default', 'ROOTCA'],
      resourceNamesUnsubscribe: ['old'],
      initialResourceVersions: { default: 'v0' },
      responseNonce: '3',
      errorDetail: { code: 13, message: 'KEY_VALUES_MISMATCH' },
    });
    assert.deepEqual(decodeDeltaRequest(toBinary(DeltaDiscoveryRequestSchema, delta)), {
      typeUrl: SECRET_TYPE_URL,
      names: ['default', 'ROOTCA'],
      unsubscribe: ['old'],
      nonce: '3',
      rejection: 'KEY_VALUES_MISMATCH',
    });
    const world = create(DiscoveryRequestSchema, {
      versionInfo: 'v1',
      node: { id: 'sidecar~x' },
      resourceNames: ['default'],
      typeUrl: SECRET_TYPE_URL,
      responseNonce: '4',
    });
    assert.deepEqual(decodeWorldRequest(toBinary(DiscoveryRequestSchema, world)), {
      typeUrl: SECRET_TYPE_URL,
      names: ['default'],
      unsubscribe: [],
      nonce: '4',
      rejection: undefined,
    });
  });

  it('that are cut off do not parse', () => {
    const bytes = toBinary(
      DeltaDiscoveryRequestSchema,
      create(DeltaDiscoveryRequestSchema, { typeUrl: SECRET_TYPE_URL }),
    );
    assert.throws(() => decodeDeltaRequest(bytes.subarray(0, bytes.length - 3)));
  });
});
