// What a gateway is given.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { secretObject } from '../../../../test/kit/https-app.ts';
import { testMesh, testProxy } from '../../../../test/kit/mesh.ts';
import { objectsOf } from '../../../../test/kit/objects.ts';
import { testAuthority } from '../../../../test/kit/test-authority.ts';
import { snapshotJson } from '../../../../test/kit/xds-json.ts';

const BASE = `
apiVersion: v1
kind: Service
metadata: { name: b, namespace: shop }
spec: { ports: [{ name: http, port: 80 }, { name: tcp, port: 90 }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: shop }
spec:
  hosts: [a.com, b.com]
  gateways: [edge/g]
  http: [{ route: [{ destination: { host: b, port: { number: 80 } } }] }]
  tcp:
    - route:
        - { destination: { host: b, port: { number: 90 } }, weight: 30 }
        - { destination: { host: b, port: { number: 80 } }, weight: 70 }
---
`;
const authority = testAuthority('callers');
const pair = authority.issue({ dnsNames: ['a.com'] });
const ENTRY = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: 'app-1', namespace: 'edge' },
  spec: { address: '10.0.0.1', labels: { app: 'front' }, serviceAccount: 'app' },
};

interface Chain {
  readonly filter_chain_match?: { readonly server_names?: readonly string[] };
  readonly transport_socket?: object;
}

function gatewayOf(
  servers: string,
  more: readonly ApiObject[] = [ENTRY],
  base = BASE,
  changes: Partial<MeshSettings> = {},
) {
  const objects = objectsOf(`${base}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: edge }
spec: { selector: { app: front }, servers: [${servers}] }
`);
  const mesh = testMesh([...objects, ...more], changes);
  const labels = { app: 'front' };
  const proxy = testProxy({ namespace: 'edge', labels, gateway: { address: '127.0.0.9' } });
  const snapshot = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
  const listeners = snapshotJson(snapshot).listener as unknown as readonly {
    readonly name: string;
    readonly filter_chains: readonly Chain[];
  }[];
  return {
    names: listeners.map(({ name }) => name),
    chains: listeners.flatMap(({ filter_chains: chains }) => chains),
    text: JSON.stringify(listeners),
    secrets: [...(snapshot.get(TYPE_URL.secret)?.keys() ?? [])].sort(),
    routes: [...(snapshot.get(TYPE_URL.route)?.keys() ?? [])],
  };
}

const https = (tls: string) =>
  `{ port: { number: 443, name: https, protocol: HTTPS }, hosts: [a.com], tls: { ${tls} } }`;
const WHOLE = { cert: pair.certificate, key: pair.privateKey, cacert: authority.root };

test('a gateway listens where its proxy or the server says, and nowhere else', () => {
  const port = 'port: { number: 80, name: http, protocol: HTTP }';
  assert.deepEqual(gatewayOf(`{ ${port}, hosts: ['*'] }`).names, ['127.0.0.9_80']);
  const bound = gatewayOf(`{ ${port}, hosts: ['*'], bind: 127.0.0.7 }`);
  assert.deepEqual(bound.names, ['127.0.0.7_80']);
});

test('a Secret is served to gateways of its own namespace that an object describes', () => {
  const tls = 'mode: MUTUAL, credentialName: c';
  const served = gatewayOf(https(tls), [ENTRY, secretObject('edge', 'c', WHOLE)]);
  assert.deepEqual(served.secrets, ['kubernetes://c', 'kubernetes://c-cacert']);
  assert.deepEqual(served.chains[0]?.filter_chain_match?.server_names, ['a.com']);
  assert.deepEqual(served.routes, ['https.443.https.g.edge']);
  for (const objects of [
    [ENTRY],
    [ENTRY, secretObject('shop', 'c', WHOLE)],
    [secretObject('edge', 'c', WHOLE)],
  ]) {
    const { secrets, names } = gatewayOf(https(tls), objects);
    assert.deepEqual([secrets, names], [[], []]);
  }
});

test('a server that cannot verify callers takes none', () => {
  const { cacert: _, ...withoutRoots } = WHOLE;
  const objects = [ENTRY, secretObject('edge', 'c', withoutRoots)];
  assert.deepEqual(gatewayOf(https('mode: MUTUAL, credentialName: c'), objects).names, []);
  assert.deepEqual(gatewayOf(https('mode: OPTIONAL_MUTUAL, credentialName: c'), objects).names, []);
  const simple = gatewayOf(https('mode: SIMPLE, credentialName: c'), objects);
  assert.deepEqual(simple.names, ['127.0.0.9_443']);
});

test('what a server says of TLS is what Envoy is told', () => {
  const tls =
    'mode: MUTUAL, credentialName: c, minProtocolVersion: TLSV1_3, ' +
    'cipherSuites: [AES128-SHA, none], verifyCertificateHash: [abc], subjectAltNames: [x.com]';
  const { text } = gatewayOf(https(tls), [ENTRY, secretObject('edge', 'c', WHOLE)]);
  for (const part of ['"TLSv1_3"', '"AES128-SHA"', '"abc"', '"x.com"'])
    assert.ok(text.includes(part));
  assert.ok(!text.includes('"none"'));
});

test('TCP goes where the routes say, by weight, through the filters that judge it', () => {
  const port = 'port: { number: 900, name: tcp, protocol: TCP }';
  const { text } = gatewayOf(`{ ${port}, hosts: ['*'] }`);
  assert.match(text, /"outbound\|90\|\|b\.shop[^}]*"weight":30/);
  assert.ok(text.includes('authz.tcp.deny'));
  const none = gatewayOf(`{ ${port}, hosts: ['other.com'] }`);
  assert.deepEqual(none.names, []);
});

test('TLS is passed on by the server name that a route asks for, once for each name', () => {
  const passed = '{ port: { number: 443, name: tls, protocol: TLS }, hosts: ["*.com"], tls: {} }';
  const tls = (name: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [a.com]
  gateways: [edge/g]
  tls: [{ match: [{ sniHosts: [a.com] }], route: [{ destination: { host: b } }] }]
---`;
  const { chains } = gatewayOf(passed, [], `${BASE}${tls('t1')}${tls('t2')}`);
  const names = chains.map(({ filter_chain_match: match }) => match?.server_names);
  assert.deepEqual(names, [['a.com']]);
  assert.equal(chains[0]?.transport_socket, undefined);
});

test('the path that is written down is not what a caller claims, in any profile', () => {
  const server = "{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }";
  const textOf = (hardening: MeshSettings['hardening']) =>
    gatewayOf(server, [], BASE, { hardening }).text;
  assert.match(textOf('istio'), /"remove":"x-envoy-original-path"/);
  assert.doesNotMatch(textOf('istio'), /"remove":"x-real-ip"|"prefix":"x-envoy-"/);
  assert.match(textOf('strict'), /"prefix":"x-envoy-"/);
});

test('what stands before the gateway is believed, and nobody else', () => {
  const server = "{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }";
  const textOf = (trustedProxies: number, proxyProtocol = false) =>
    gatewayOf(server, [], BASE, { gatewayTopology: { trustedProxies, proxyProtocol } }).text;
  assert.match(textOf(0), /"remove":"x-forwarded-for"/);
  assert.doesNotMatch(textOf(0), /proxy_protocol|"xff_num_trusted_hops"/);
  assert.match(textOf(2), /"xff_num_trusted_hops":2/);
  assert.match(textOf(2), /"remove":"x-real-ip"/);
  assert.doesNotMatch(textOf(2), /"remove":"x-forwarded-for"/);
  assert.match(textOf(0, true), /proxy_protocol/);
});

test('what stands before one gateway is as its object says, over what the mesh says', () => {
  const server = "{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }";
  const settings = { gatewayTopology: { trustedProxies: 1, proxyProtocol: true } };
  const textOf = (config: string) => {
    const annotations = { 'proxy.istio.io/config': config };
    const entry = { ...ENTRY, metadata: { ...ENTRY.metadata, annotations } };
    return gatewayOf(server, [entry], BASE, settings).text;
  };
  const own = textOf('gatewayTopology: { numTrustedProxies: 3 }');
  assert.match(own, /"xff_num_trusted_hops":3/);
  assert.doesNotMatch(own, /proxy_protocol/);
  for (const other of ['', '{', 'concurrency: 2']) {
    assert.match(textOf(other), /"xff_num_trusted_hops":1/);
    assert.match(textOf(other), /proxy_protocol/);
  }
  assert.match(textOf('gatewayTopology: {}'), /"remove":"x-forwarded-for"/);
});

test('callers are verified by a ConfigMap of the namespace, with no right to Secrets needed', () => {
  const configMap = (namespace: string, values: Readonly<Record<string, string>>) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'ca', namespace },
    data: values,
  });
  const server = https(
    "mode: MUTUAL, credentialName: own, caCertCredentialName: 'configmap://edge/ca'",
  );
  const secret = secretObject('edge', 'own', { cert: pair.certificate, key: pair.privateKey });
  const by = (...more: readonly ApiObject[]) => gatewayOf(server, [ENTRY, secret, ...more]);
  assert.deepEqual(by(configMap('edge', { 'ca.crt': authority.root })).secrets, [
    'configmap://edge/ca',
    'kubernetes://own',
  ]);
  for (const others of [
    [],
    [configMap('shop', { 'ca.crt': authority.root })],
    [configMap('edge', { 'ca.crt': 'no certificate' })],
    [configMap('edge', { other: authority.root })],
  ])
    assert.deepEqual(by(...others).names, [], 'nobody is let in unverified');
});
