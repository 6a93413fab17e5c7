import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMeshConfig } from '#api/mesh-config.ts';
import { configuredSettings } from '#model/configured-settings.ts';
import { DEFAULT_TLS_LIMITS } from '#model/tls-limits.ts';

function configured(text: string) {
  const { config } = readMeshConfig(text, 'mesh');
  const { extensionProviders, ...rest } = configuredSettings(config, { tls: DEFAULT_TLS_LIMITS });
  assert.deepEqual(extensionProviders, []);
  return rest;
}

test('what is not written stays as the mesh was started', () => {
  assert.deepEqual(configured('{}'), { tls: DEFAULT_TLS_LIMITS });
  assert.deepEqual(configured('meshMTLS: { minProtocolVersion: TLS_AUTO, cipherSuites: [] }'), {
    tls: DEFAULT_TLS_LIMITS,
  });
  assert.deepEqual(configured('enableAutoMtls: false').autoMtls, false);
});

test('limits of TLS are taken one by one, inside and outside of the mesh', () => {
  const { mesh, outside } = DEFAULT_TLS_LIMITS;
  assert.deepEqual(configured('meshMTLS: { minProtocolVersion: TLSV1_3, ecdhCurves: [P-256] }'), {
    tls: { mesh: { ...mesh, minVersion: 'TLSV1_3', curves: ['P-256'] }, outside },
  });
  const cipherSuites = ['ECDHE-RSA-AES128-GCM-SHA256'];
  assert.deepEqual(configured(`tlsDefaults: { cipherSuites: [${cipherSuites}] }`), {
    tls: { mesh, outside: { ...outside, cipherSuites } },
  });
});

test('what stands before gateways is as the mesh says', () => {
  const topologyOf = (text: string) =>
    configured(`defaultConfig: { gatewayTopology: ${text} }`).gatewayTopology;
  assert.deepEqual(topologyOf('{ numTrustedProxies: 2 }'), {
    trustedProxies: 2,
    proxyProtocol: false,
  });
  assert.deepEqual(topologyOf('{ proxyProtocol: {} }'), { trustedProxies: 0, proxyProtocol: true });
});
