import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  configMapCredential,
  credentialResource,
  gatewayCredential,
  isOwnCertificate,
  parseCredentialResource,
} from '#policy/tls/credential-name.ts';

const parsed = (resource: string) => parseCredentialResource(resource, 'own');

describe('the resource of a credential', () => {
  it('leads to a Secret or a ConfigMap', () => {
    const [kind, name] = ['Secret', 'cert'];
    assert.deepEqual(parsed('kubernetes://cert'), { kind, name, namespace: 'own' });
    assert.deepEqual(parsed('kubernetes://ns/cert'), { kind, name, namespace: 'ns' });
    assert.deepEqual(parsed(gatewayCredential('ns', 'cert')), { kind, name, namespace: 'ns' });
    const place = { kind: 'ConfigMap', name, namespace: 'ns' };
    assert.deepEqual(parsed(configMapCredential('ns', 'cert')), place);
  });

  it('is refused without what it must name, and of any other form', () => {
    for (const resource of [
      '',
      'cert',
      'vault://cert',
      'sds://cert',
      'builtin://',
      'kubernetes://',
      'kubernetes://ns/',
      'kubernetes:///cert',
      'kubernetes://a/b/c',
      'kubernetes-gateway://cert',
      'kubernetes-gateway:///cert',
      'kubernetes-gateway://ns/',
      'configmap://cert',
      ' kubernetes://cert',
      'Kubernetes://cert',
    ])
      assert.equal(parsed(resource), undefined, resource);
  });

  it('is that of a Secret for a bare name, and stays as it is written otherwise', () => {
    assert.equal(credentialResource('foo'), 'kubernetes://foo');
    for (const whole of ['kubernetes://bar', 'kubernetes-gateway://bar', 'configmap://a/b'])
      assert.equal(credentialResource(whole), whole);
    assert.equal(credentialResource('vault://bar'), 'kubernetes://vault://bar');
  });

  it('may be the certificate of the workload itself', () => {
    for (const name of ['builtin://', 'builtin://extra']) {
      assert.ok(isOwnCertificate(name));
      assert.equal(credentialResource(name), 'default');
      assert.equal(gatewayCredential('anything', name), 'builtin://');
    }
    assert.ok(!isOwnCertificate('builtin'));
  });
});
