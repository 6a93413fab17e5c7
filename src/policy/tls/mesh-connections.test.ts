import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Client, meshConnections } from '#policy/tls/mesh-connections.ts';
import { ModeFinder } from '#policy/tls/mode-finder.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { registeredYaml } from '../../../test/kit/mesh-objects.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

/** `web-1` has a proxy, `web-2` has none. */
const OBJECTS = `${registeredYaml('shop', 'web')}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-2, namespace: shop }
spec: { address: 10.0.0.2, labels: { app: web, old: "yes" } }
`;

const CLIENTS: readonly Client[] = ['shop', 'bank', 'toys'].map((namespace) => ({
  namespace,
  name: 'caller',
  labels: { app: 'caller' },
  isRedirected: true,
}));

/** `<clients> to <servers>: <sends> <takes> <client's rule> <server's rule> <conflict>` */
function connections(yaml: string, clients = CLIENTS): readonly string[] {
  const { model } = testMesh(objectsOf(`${OBJECTS}---${yaml}`));
  const mesh = model.snapshot();
  return [...meshConnections(mesh, clients, new ModeFinder(mesh))].map((one) => {
    const { sends, takes, clientRule, serverRule, conflict } = one.connection;
    const names = (
      list: readonly { namespace: string; name: string }[],
      key: 'name' | 'namespace',
    ) => list.map((item) => item[key]).join('+');
    const at = `${names(one.clients, 'namespace')} to ${names(one.servers, 'name')}`;
    const rules = `${clientRule?.metadata.name} ${serverRule?.metadata.name}`;
    const subset = one.subset === '' ? '' : ` ${one.subset}`;
    return `${at}:${one.workloadPort}${subset}: ${sends} ${takes} ${rules} ${conflict}`;
  });
}

const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: insist, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

const rule = (namespace: string, spec: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: rule, namespace: ${namespace} }
spec: { host: web.shop.svc.cluster.local, ${spec} }
`;

describe('the connections of a mesh', () => {
  it('fit each endpoint by themselves; clients with the same rules are taken together', () => {
    assert.deepEqual(connections(STRICT), [
      'shop+bank+toys to web-1:8080: mutual STRICT undefined insist undefined',
      'shop+bank+toys to web-2:8080: plaintext DISABLE undefined undefined undefined',
    ]);
  });

  it('are in conflict by a rule of the client against one of the server, and name both', () => {
    const disable = rule('bank', 'trafficPolicy: { tls: { mode: DISABLE } }');
    assert.deepEqual(connections(`${STRICT}---${disable}`), [
      'shop+toys to web-1:8080: mutual STRICT undefined insist undefined',
      'shop+toys to web-2:8080: plaintext DISABLE undefined undefined undefined',
      'bank to web-1:8080: plaintext STRICT rule insist plaintext-to-mutual',
      'bank to web-2:8080: plaintext DISABLE rule undefined undefined',
    ]);
  });

  it('of a subset go to its endpoints only', () => {
    const tls = 'trafficPolicy: { tls: { mode: ISTIO_MUTUAL } }';
    const subset = rule('shop', `subsets: [{ name: old, labels: { old: "yes" }, ${tls} }]`);
    assert.deepEqual(connections(subset, CLIENTS.slice(0, 1)).slice(2), [
      'shop to web-2:8080 old: mutual DISABLE rule undefined mutual-to-plaintext',
    ]);
  });

  it('to an instance of a headless service are mutual TLS only if all take it', () => {
    const headless = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: None, selector: { app: web }, ports: [{ name: tcp, port: 80 }] }
`;
    const explicit = CLIENTS.slice(0, 1).map((client) => ({ ...client, isRedirected: false }));
    assert.deepEqual(
      [...connections(headless, CLIENTS.slice(1, 2)), ...connections(headless, explicit)].map(
        (text) => text.split(' ').slice(0, 4).join(' '),
      ),
      [
        'bank to web-1:80: plaintext',
        'bank to web-2:80: plaintext',
        'shop to web-1:80: mutual',
        'shop to web-2:80: plaintext',
      ],
    );
  });

  it('to servers outside of the mesh are left out', () => {
    const outside = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: out, namespace: shop }
spec:
  hosts: [out.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 443, name: tcp, protocol: TCP }]
  endpoints: [{ address: 203.0.113.1 }]
`;
    assert.equal(connections(outside).length, 2);
  });
});
