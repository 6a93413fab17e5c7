// Which servers of which Gateways a workload serves, and on which port.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveGateway } from '#policy/gateway/gateway-name.ts';
import { gatewayPorts } from '#policy/gateway/gateway-ports.ts';
import { commonHosts, hostsForNamespace } from '#policy/gateway/server-hosts.ts';
import { servedWorkload } from '#xds/generate/inbound-builder.ts';
import { testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const server = (number: number, protocol: string, hosts: string, more = '') =>
  `{ port: { number: ${number}, name: p${number}-${hosts.length}, protocol: ${protocol} }, hosts: [${hosts}] ${more} }`;

/** Gateways of namespace shop, each older than the next. */
function portsOf(gateways: readonly string[], others = '', labels = { app: 'front' }) {
  const written = gateways.map(
    (servers, index) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g${index}, namespace: shop, creationTimestamp: '2026-01-01T00:00:0${index}Z' }
spec: { selector: { app: front }, servers: [${servers}] }
`,
  );
  const objects = objectsOf([...written, ...(others === '' ? [] : [others])].join('---'));
  const mesh = testMesh(objects).model.snapshot();
  const proxy = testProxy({ namespace: 'edge', labels, gateway: { address: '0.0.0.0' } });
  return gatewayPorts(servedWorkload(proxy, mesh), mesh).map(({ listen, toldBy, servers }) => [
    listen,
    toldBy,
    ...servers.map(({ gateway }) => gateway),
  ]);
}

test('servers of all Gateways that select the workload share a port', () => {
  const http = server(80, 'HTTP', "'*'");
  assert.deepEqual(portsOf([http, http]), [[80, 'host', 'shop/g0', 'shop/g1']]);
  assert.deepEqual(portsOf([http], '', { app: 'other' }), []);
});

test('of two that want a port for different protocols the older has it', () => {
  const [http, tcp] = [server(80, 'HTTP', "'*'"), server(80, 'TCP', "'*'")];
  assert.deepEqual(portsOf([http, tcp]), [[80, 'host', 'shop/g0']]);
  assert.deepEqual(portsOf([tcp, tcp]), [[80, 'nothing', 'shop/g0']]);
});

test('a host is secured by one server of a port', () => {
  const of = (hosts: string) => server(443, 'HTTPS', hosts, ', tls: { mode: PASSTHROUGH }');
  assert.deepEqual(portsOf([of('a.com'), of('ns/A.com')]), [[443, 'serverName', 'shop/g0']]);
  const both = [[443, 'serverName', 'shop/g0', 'shop/g1']];
  assert.deepEqual(portsOf([of('a.com'), of('b.com')]), both);
});

test('a Service before the gateway leads its port to another', () => {
  const service = (app: string) => `
apiVersion: v1
kind: Service
metadata: { name: front, namespace: edge }
spec: { selector: { app: ${app} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;
  const http = server(80, 'HTTP', "'*'");
  assert.deepEqual(portsOf([http], service('front')), [[8080, 'host', 'shop/g0']]);
  assert.deepEqual(portsOf([http], service('other')), [[80, 'host', 'shop/g0']]);
});

test('hosts are for the namespaces that they name', () => {
  const hosts = ['a.com', 'shop/B.com', './c.com', '*/d.com'];
  assert.deepEqual(hostsForNamespace(hosts, 'shop', 'edge'), ['a.com', 'b.com', 'd.com']);
  assert.deepEqual(hostsForNamespace(hosts, 'edge', 'edge'), ['a.com', 'c.com', 'd.com']);
});

test('of two hosts the narrower is what they have in common', () => {
  assert.deepEqual(commonHosts(['*.com', 'b.org'], ['a.com', '*.a.com', 'c.org']), [
    'a.com',
    '*.a.com',
  ]);
});

test('gateways are named in every way that Istio knows', () => {
  const names = ['mesh', 'g', 'ns/g', './g', 'g.ns.svc.cluster.local'];
  const full = names.map((name) => resolveGateway(name, 'shop'));
  assert.deepEqual(full, ['mesh', 'shop/g', 'ns/g', 'shop/g', 'ns/g']);
});
