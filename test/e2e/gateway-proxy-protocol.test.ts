// GW-1, AZ-4: behind a balancer that passes connections on, a gateway believes the address that the
// PROXY protocol tells, and nobody else's word.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { freePort } from '../kit/free-port.ts';
import { applicationYaml, groupYaml, policyYaml, yamlOf } from '../kit/mesh-objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const DENIED = '203.0.113.7';
const ALLOWED = '198.51.100.7';

const objects = (port: number): string =>
  yamlOf(
    applicationYaml('greet', 'hello'),
    groupYaml('edge', 'gate'),
    `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec:
  selector: { app: gate }
  servers: [{ port: { number: ${port}, name: http, protocol: HTTP }, hosts: ['*'] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hello, namespace: greet }
spec:
  hosts: ['*']
  gateways: [edge/front]
  http: [{ route: [{ destination: { host: hello, port: { number: 80 } } }] }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: 'defaultConfig: { gatewayTopology: { proxyProtocol: {} } }' }
`,
    policyYaml(
      'edge',
      'abroad',
      '{ action: DENY, rules: [{ from: [{ source: { remoteIpBlocks: [203.0.113.0/24] } }] }] }',
    ),
  );

test('a gateway believes the PROXY protocol', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const port = await freePort();
  await mesh.apply(objects(port));
  const app = await startEchoApp(t, 'hello');
  const workload = (namespace: string, name: string, more: object) => {
    return { namespace, serviceAccount: name, group: name, name, ...more };
  };
  await mesh.runAgent('agent', {
    workloads: [
      workload('greet', 'hello', { app: { ports: [{ name: 'http', port: app }] } }),
      workload('edge', 'gate', { mode: 'gateway', bindAddress: '127.0.0.1' }),
    ],
  });
  const ask = async (before: string, headers: Readonly<Record<string, string>> = {}) =>
    statusOf(await callPeer({ port, data: `${before}${httpRequest('/', headers)}` }));
  const told = (address: string) => `PROXY TCP4 ${address} 127.0.0.1 40000 ${port}\r\n`;
  await waitUntil(async () => (await ask(told(ALLOWED))) === 200, 'the service is reached');

  await t.test('policies are about the address that it tells', async () => {
    await waitUntil(async () => (await ask(told(DENIED))) === 403, 'the policy is in force');
    assert.equal(await ask(told(ALLOWED)), 200);
  });

  await t.test('a header of the caller does not change it', async () => {
    assert.equal(await ask(told(DENIED), { 'x-forwarded-for': ALLOWED }), 403);
    assert.equal(await ask(told(ALLOWED), { 'x-forwarded-for': DENIED }), 200);
  });

  await t.test('who does not speak it is not served', async () => {
    assert.equal(await ask(''), 0);
    assert.equal(await ask('PROXY NONSENSE\r\n'), 0);
  });
});
