import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decodeProtobufBody } from '#apiserver/protobuf-body.ts';

/** Bodies as kubectl 1.32 sends them. */
const BODIES = {
  namespace:
    'k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x1f\n\x17\n\x07kc-demo\x12\0\x1a\0"\0*\x002\x008\0B\0\x12\0\x1a\x02\n\0\x1a\0"\0',
  secret:
    'k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12&\n\x1a\n\x03gen\x12\0\x1a\x07kc-demo"\0*\x002\x008\0B\0\x12\x06\n\x01a\x12\x01b\x1a\0\x1a\0"\0',
  configMap:
    'k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12$\n\x1a\n\x03lit\x12\0\x1a\x07kc-demo"\0*\x002\x008\0B\0\x12\x06\n\x01a\x12\x01b\x1a\0"\0',
  account:
    'k8s\0\n\x14\n\x02v1\x12\x0eServiceAccount\x12\x1c\n\x1a\n\x03bot\x12\0\x1a\x07kc-demo"\0*\x002\x008\0B\0\x1a\0"\0',
  whoami:
    'k8s\0\n-\n\x18authentication.k8s.io/v1\x12\x11SelfSubjectReview\x12\x1a\n\x10\n\0\x12\0\x1a\0"\0*\x002\x008\0B\0\x12\x06\n\x04\n\0\x12\0\x1a\0"\0',
};

const decoded = (text: string): unknown => decodeProtobufBody(Buffer.from(text, 'latin1'));

it('reads what kubectl sends when it creates something', () => {
  const metadata = (name: string) => ({ name, namespace: 'kc-demo' });
  assert.deepEqual(decoded(BODIES.namespace), {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kc-demo' },
    spec: {},
  });
  assert.deepEqual(decoded(BODIES.secret), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata('gen'),
    data: { a: 'Yg==' },
  });
  assert.deepEqual(decoded(BODIES.configMap), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata('lit'),
    data: { a: 'b' },
  });
  assert.deepEqual(decoded(BODIES.account), {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata('bot'),
  });
  const apiVersion = 'authentication.k8s.io/v1';
  assert.deepEqual(decoded(BODIES.whoami), { apiVersion, kind: 'SelfSubjectReview', metadata: {} });
});

it('reads a token request with audience and lifetime as numbers', () => {
  const body = Buffer.from(
    'k8s\0\n(\n\x18authentication.k8s.io/v1\x12\x0cTokenRequest\x12\'\n\x10\n\0\x12\0\x1a\0"\0*\x002\x008\0B\0\x12\r\n\x08istio-ca \xd8\x04\x1a\x04\n\0\x12\0\x1a\0"\0',
    'latin1',
  );
  assert.deepEqual((decodeProtobufBody(body) as { spec: unknown }).spec, {
    audiences: ['istio-ca'],
    expirationSeconds: 600,
  });
});

it('has no answer to other bytes', () => {
  const unknownKind = 'k8s\0\n\x09\n\x02v1\x12\x03Pod\x12\0';
  for (const text of ['', 'k8s', 'k8s\0', 'k8s\0\xff\xff\xff', '{"kind":"Secret"}', unknownKind]) {
    assert.equal(decoded(text), undefined, JSON.stringify(text));
  }
  for (let length = 0; length < BODIES.secret.length; length += 1) {
    decoded(BODIES.secret.slice(0, length));
  }
});
