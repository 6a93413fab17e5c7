// Which connections workloads take by Policy and MeshPolicy, alone and beside PeerAuthentication.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { type InboundMode, modeOfPort } from '#policy/authn/mtls-mode.ts';
import { mtlsOf } from '../../../test/kit/inbound-mtls.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const LABELS = { app: 'web' };

/** Service ports 80 `http` and 90 `admin` lead to 8080 and 9090 of the workload. */
const SERVICE = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  selector: { app: web }
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: admin, port: 90, targetPort: 9090 }
`);

function policy(name: string, spec: string, namespace = 'shop', second = 0): ApiObject[] {
  const created = `creationTimestamp: '2026-01-01T00:00:0${second}Z'`;
  return objectsOf(`
apiVersion: authentication.istio.io/v1alpha1
kind: ${namespace === '' ? 'MeshPolicy' : 'Policy'}
metadata: { name: ${name}, ${namespace === '' ? '' : `namespace: ${namespace}, `}${created} }
spec: ${spec}
`);
}

function peerAuthentication(namespace: string, spec: string): ApiObject[] {
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: new, namespace: ${namespace} }
spec: ${spec}
`);
}

/** The modes of 8080, 9090 and of a port that no service leads to. */
function modesOf(...objects: ApiObject[][]): InboundMode[] {
  const mtls = mtlsOf([...SERVICE, ...objects.flat()], { namespace: 'shop', labels: LABELS });
  return [8080, 9090, 7070].map((port) => modeOfPort(mtls, port));
}

const MESH = policy('default', '{ peers: [{ mtls: {} }] }', '');
const NAMESPACE = policy('default', '{ peers: [{ mtls: { mode: PERMISSIVE } }] }');
const SERVICE_POLICY = policy('web', '{ targets: [{ name: web }], peers: [{ mtls: null }] }');

describe('peers', () => {
  const mode = (spec: string) => modesOf(policy('default', spec))[0];

  test('every way to write mutual TLS without a mode is STRICT', () => {
    for (const mtls of ['{ mtls: {} }', '{ mtls: null }', '{ mtls: }', '{ mTLS: {} }', '{}']) {
      assert.equal(mode(`{ peers: [${mtls}] }`), 'STRICT', mtls);
    }
    assert.equal(mode('{ peers: [{ mtls: { mode: STRICT } }] }'), 'STRICT');
  });

  test('plaintext is taken too where the policy says so', () => {
    assert.equal(mode('{ peers: [{ mtls: { mode: PERMISSIVE } }] }'), 'PERMISSIVE');
    assert.equal(mode('{ peers: [{ mTLS: { mode: PERMISSIVE } }] }'), 'PERMISSIVE');
    assert.equal(mode('{ peers: [{ mtls: { allowTls: true } }] }'), 'PERMISSIVE');
    assert.equal(mode('{ peers: [{ mtls: {} }], peerIsOptional: true }'), 'PERMISSIVE');
  });

  test('a policy without peers asks for no proof: plaintext', () => {
    assert.equal(mode('{}'), 'DISABLE');
    assert.equal(mode('{ peers: [] }'), 'DISABLE');
    assert.equal(mode('{ origins: [{ jwt: { issuer: a } }] }'), 'DISABLE');
    assert.equal(mode('{ peerIsOptional: true }'), 'DISABLE');
  });

  test('a token proves no workload: alone it lets nobody in, beside mutual TLS it adds nothing', () => {
    const jwt = '{ jwt: { issuer: a } }';
    assert.equal(mode(`{ peers: [${jwt}] }`), 'REFUSE');
    assert.equal(mode(`{ peers: [${jwt}], peerIsOptional: true }`), 'DISABLE');
    assert.equal(mode(`{ peers: [${jwt}, { mtls: {} }] }`), 'STRICT');
  });
});

describe('scopes', () => {
  test('the narrowest policy counts: mesh, namespace, service, port', () => {
    assert.deepEqual(modesOf(MESH), ['STRICT', 'STRICT', 'STRICT']);
    const permissive = ['PERMISSIVE', 'PERMISSIVE', 'PERMISSIVE'];
    assert.deepEqual(modesOf(MESH, NAMESPACE), permissive);
    const strict = ['STRICT', 'STRICT', 'PERMISSIVE'];
    assert.deepEqual(modesOf(MESH, NAMESPACE, SERVICE_POLICY), strict);
    const port = policy('port', '{ targets: [{ name: web, ports: [{ number: 90 }] }] }');
    const open = ['STRICT', 'DISABLE', 'PERMISSIVE'];
    assert.deepEqual(modesOf(MESH, NAMESPACE, SERVICE_POLICY, port), open);
  });

  test('a port is that of the service, by number or by name, never that of the workload', () => {
    const on = (port: string) =>
      modesOf(MESH, policy('port', `{ targets: [{ name: web, ports: [${port}] }] }`));
    assert.deepEqual(on('{ number: 80 }'), ['DISABLE', 'STRICT', 'STRICT']);
    assert.deepEqual(on('{ name: admin }'), ['STRICT', 'DISABLE', 'STRICT']);
    assert.deepEqual(on('{ number: 8080 }'), ['STRICT', 'STRICT', 'STRICT']);
    assert.deepEqual(on('{ name: other }'), ['STRICT', 'STRICT', 'STRICT']);
  });

  test('a policy sees only its own namespace', () => {
    const elsewhere = policy('default', '{ peers: [{ mtls: {} }] }', 'other');
    const service = policy('web', '{ targets: [{ name: web }], peers: [{ mtls: {} }] }', 'other');
    const permissive = ['PERMISSIVE', 'PERMISSIVE', 'PERMISSIVE'];
    assert.deepEqual(modesOf(elsewhere, service), permissive);
    assert.deepEqual(modesOf(MESH, policy('default', '{}', 'other')), [
      'STRICT',
      'STRICT',
      'STRICT',
    ]);
  });

  test('labels of a target choose among the workloads of the service', () => {
    const labelled = (value: string) =>
      modesOf(MESH, policy('web', `{ targets: [{ name: web, labels: { app: ${value} } }] }`))[0];
    assert.equal(labelled('web'), 'DISABLE');
    assert.equal(labelled('other'), 'STRICT');
  });

  test('of policies just as narrow the oldest counts, then the first by name', () => {
    const strict = (name: string, second: number) =>
      policy(name, '{ targets: [{ name: web }], peers: [{ mtls: {} }] }', 'shop', second);
    const open = policy('m', '{ targets: [{ name: web }] }', 'shop', 5);
    assert.equal(modesOf(strict('z', 4), open)[0], 'STRICT');
    assert.equal(modesOf(open, strict('a', 6))[0], 'DISABLE');
    assert.equal(modesOf(open, strict('z', 5))[0], 'DISABLE');
    assert.equal(modesOf(open, strict('a', 5))[0], 'STRICT');
  });

  test('a service may be a ServiceEntry with endpoints of its own', () => {
    const entry = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: entry, namespace: shop }
spec:
  hosts: [entry.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 10.0.0.7, ports: { http: 8081 } }]
`);
    const objects = [...entry, ...policy('entry', '{ targets: [{ name: entry }] }')];
    const at = (address: string) => mtlsOf(objects, { namespace: 'shop', labels: {}, address });
    assert.deepEqual([...at('10.0.0.7').ports], [[8081, 'DISABLE']]);
    assert.deepEqual([...at('10.0.0.8').ports], []);
  });
});

describe('beside PeerAuthentication', () => {
  test('what the new object says about a workload counts, whatever the old ones say', () => {
    const permissive = ['PERMISSIVE', 'PERMISSIVE', 'PERMISSIVE'];
    for (const namespace of ['shop', 'istio-system']) {
      const mode = peerAuthentication(namespace, '{ mtls: { mode: PERMISSIVE } }');
      assert.deepEqual(modesOf(MESH, SERVICE_POLICY, mode), permissive, namespace);
    }
    const selecting = (value: string) =>
      peerAuthentication(
        'shop',
        `{ selector: { matchLabels: { app: ${value} } }, mtls: { mode: DISABLE } }`,
      );
    assert.deepEqual(modesOf(MESH, selecting('web')), ['DISABLE', 'DISABLE', 'DISABLE']);
    assert.deepEqual(modesOf(MESH, selecting('other')), ['STRICT', 'STRICT', 'STRICT']);
  });

  test('an object that leaves everything unset opens nothing that an old policy closes', () => {
    const strict = ['STRICT', 'STRICT', 'STRICT'];
    assert.deepEqual(modesOf(MESH, peerAuthentication('shop', '{}')), strict);
    const onePort = peerAuthentication(
      'shop',
      '{ selector: { matchLabels: { app: web } }, portLevelMtls: { 9090: { mode: DISABLE } } }',
    );
    assert.deepEqual(modesOf(MESH, onePort), ['STRICT', 'DISABLE', 'STRICT']);
    assert.deepEqual(modesOf(onePort), ['PERMISSIVE', 'DISABLE', 'PERMISSIVE']);
  });
});
