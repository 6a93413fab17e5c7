import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeMeshConfig } from '#api/mesh-merge.ts';

const mergeProxyConfig = (base: object, overlay: object): unknown =>
  mergeMeshConfig({ defaultConfig: base }, { defaultConfig: overlay }).defaultConfig;

const own = { name: 'own', envoyExtAuthzGrpc: { service: 'own.a', port: 1 } };
const other = { name: 'other', envoyExtAuthzGrpc: { service: 'other.a', port: 1 } };

describe('the configuration of a proxy on top of that of the mesh', () => {
  test('replaces fields, and leaves what it does not name', () => {
    const base = { concurrency: 2, gatewayTopology: { numTrustedProxies: 1, proxyProtocol: {} } };
    assert.deepEqual(mergeProxyConfig(base, { gatewayTopology: { numTrustedProxies: 2 } }), {
      concurrency: 2,
      gatewayTopology: { numTrustedProxies: 2 },
    });
    assert.deepEqual(mergeProxyConfig({ tracing: { zipkin: {} } }, { tracing: {} }), {
      tracing: {},
    });
    assert.deepEqual(mergeProxyConfig(base, {}), base);
  });

  test('merges metadata and headers by their names', () => {
    const base = {
      proxyMetadata: { merged: 'original', default: 'foo' },
      proxyHeaders: { requestId: { disabled: true }, server: { disabled: true } },
    };
    const overlay = {
      proxyMetadata: { merged: 'override', override: 'bar' },
      proxyHeaders: { requestId: { disabled: false } },
    };
    assert.deepEqual(mergeProxyConfig(base, overlay), {
      proxyMetadata: { merged: 'override', default: 'foo', override: 'bar' },
      proxyHeaders: { requestId: { disabled: false }, server: { disabled: true } },
    });
    const undefinedOne = { proxyHeaders: { forwardedClientCert: 'UNDEFINED', server: null } };
    const certified = { proxyHeaders: { forwardedClientCert: 'SANITIZE', server: {} } };
    assert.deepEqual(mergeProxyConfig(certified, undefinedOne), certified);
    assert.equal(base.proxyMetadata.merged, 'original', 'nothing is changed in place');
  });
});

describe('the configuration of a mesh on top of another one', () => {
  test('replaces fields, and leaves what it does not name', () => {
    const base = { enableAutoMtls: true, outboundTrafficPolicy: { mode: 'ALLOW_ANY' } };
    const overlay = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, enableAutoMtls: null };
    assert.deepEqual(mergeMeshConfig(base, overlay), {
      enableAutoMtls: true,
      outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    });
    assert.deepEqual(mergeMeshConfig({}, {}), {});
  });

  test('merges proxies, default providers, and providers by name', () => {
    const base = {
      defaultConfig: { concurrency: 2 },
      defaultProviders: { metrics: ['a'], tracing: ['b'] },
      extensionProviders: [own, other],
    };
    const next = { ...own, envoyExtAuthzGrpc: { service: 'new.a', port: 2 } };
    const third = { ...own, name: 'third' };
    const overlay = {
      defaultConfig: { drainDuration: '5s' },
      defaultProviders: { metrics: ['c'] },
      extensionProviders: [third, next],
    };
    assert.deepEqual(mergeMeshConfig(base, overlay), {
      defaultConfig: { concurrency: 2, drainDuration: '5s' },
      defaultProviders: { metrics: ['c'], tracing: ['b'] },
      extensionProviders: [next, other, third],
    });
    assert.deepEqual(mergeMeshConfig({}, base), base);
    assert.deepEqual(mergeMeshConfig(base, {}), base);
  });

  test('puts the names of the trust domain together', () => {
    const merged = mergeMeshConfig(
      { trustDomainAliases: ['default', 'both'] },
      { trustDomainAliases: ['added', 'both'] },
    );
    assert.deepEqual(merged, { trustDomainAliases: ['added', 'both', 'default'] });
  });
});
