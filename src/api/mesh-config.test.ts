import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readMeshConfig, readProxyConfig } from '#api/mesh-config.ts';
import { errorsOf, warningsOf } from '../../test/kit/object-verdict.ts';

const messages = (text: string): string[] =>
  readMeshConfig(text, 'mesh').diagnostics.map(({ field, message }) => `${field}: ${message}`);

describe('the mesh configuration', () => {
  test('is read as Istio writes it', () => {
    const text = 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nenableAutoMtls: false\n';
    assert.deepEqual(readMeshConfig(text, 'mesh'), {
      config: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, enableAutoMtls: false },
      diagnostics: [],
    });
    assert.deepEqual(readMeshConfig('', 'mesh'), { config: {}, diagnostics: [] });
  });

  test('says what of it has no effect', () => {
    assert.deepEqual(messages('accessLogFile: /dev/stdout'), [
      'mesh.accessLogFile: unknown field "mesh.accessLogFile"',
    ]);
    assert.deepEqual(messages('localityLbSetting: {failover: [{from: a, to: b}]}'), [
      'mesh.localityLbSetting: near endpoints are not preferred yet',
    ]);
    assert.deepEqual(messages('trustDomain: a'), [
      'mesh.trustDomain: trustDomain has no effect here',
    ]);
  });

  test('says what of it makes policies weaker', () => {
    assert.match(messages('pathNormalization: {normalization: NONE}')[0] ?? '', /got around/);
    assert.deepEqual(messages('pathNormalization: {normalization: BASE}'), []);
  });

  test('is not taken when a part of it cannot be', () => {
    for (const text of [
      'enableAutoMtls: maybe',
      'outboundTrafficPolicy: {mode: NONE}',
      'meshMTLS: {minProtocolVersion: TLSV1_1}',
      'meshMTLS: {cipherSuites: [AES128-SHA]}',
      'tlsDefaults: {ecdhCurves: [secp256k1]}',
      'localityLbSetting: {failover: [{from: a, to: a}]}',
      '{',
      '[]',
    ]) {
      const { config, diagnostics } = readMeshConfig(text, 'mesh');
      assert.deepEqual(config, {}, text);
      assert.equal(diagnostics[0]?.severity, 'error', text);
    }
  });

  test('is checked where it is written: in the ConfigMap istio', () => {
    const configMap = (name: string, mesh: string) => ({
      kind: 'ConfigMap',
      metadata: { name, namespace: 'istio-system' },
      data: { mesh },
    });
    assert.deepEqual(errorsOf(configMap('istio', 'enableAutoMtls: true')), []);
    assert.match(errorsOf(configMap('istio', 'enableAutoMtls: 1'))[0] ?? '', /^data\[mesh\]/);
    assert.match(warningsOf(configMap('istio', 'rootNamespace: a'))[0] ?? '', /no effect/);
    assert.deepEqual(errorsOf(configMap('other', 'enableAutoMtls: 1')), []);
  });
});

describe('the configuration of the proxies of a workload', () => {
  const source = 'gatewayTopology: { numTrustedProxies: 2 }';

  test('is read as Istio writes it, YAML or JSON', () => {
    const config = { gatewayTopology: { numTrustedProxies: 2 } };
    assert.deepEqual(readProxyConfig(source, 'a'), { config, diagnostics: [] });
    assert.deepEqual(readProxyConfig(JSON.stringify(config), 'a').config, config);
    assert.deepEqual(readProxyConfig('', 'a'), { config: {}, diagnostics: [] });
  });

  test('is not taken when a part of it cannot be', () => {
    for (const text of ['gatewayTopology: { numTrustedProxies: -1 }', '{', 'a text']) {
      const { config, diagnostics } = readProxyConfig(text, 'a');
      assert.deepEqual(config, {}, text);
      assert.equal(diagnostics[0]?.severity, 'error', text);
    }
  });

  test('is checked where it is written: on a WorkloadEntry and in a WorkloadGroup', () => {
    const metadata = { name: 'a', namespace: 'b' };
    const of = (text: string) => ({ 'proxy.istio.io/config': text });
    const entry = (text: string) => ({
      kind: 'WorkloadEntry',
      metadata: { ...metadata, annotations: of(text) },
      spec: { address: '10.0.0.1' },
    });
    const group = (text: string) => ({
      kind: 'WorkloadGroup',
      metadata,
      spec: { metadata: { annotations: of(text) }, template: {} },
    });
    for (const object of [entry, group]) {
      assert.deepEqual(errorsOf(object(source)), []);
      assert.match(errorsOf(object('{'))[0] ?? '', /annotations\[proxy.istio.io\/config\]/);
      assert.match(warningsOf(object('concurrency: 2'))[0] ?? '', /unknown field/);
    }
  });
});
