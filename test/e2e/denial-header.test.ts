// Who is denied learns by which rule where the mesh says so, and only there; rules are counted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { PolicyCounts } from '#agent/denials/policy-counts.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { extensionProviders } from '#model/extension-provider.ts';
import { startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const HEADER = 'x-bulwark-denied-by';
const PROVIDERS = extensionProviders([
  { name: 'down', envoyExtAuthzHttp: { service: 'down.tools', port: 9000 } },
]);
const OBJECTS = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: shop }
spec:
  action: DENY
  rules:
    - to: [{ operation: { paths: [/old] } }]
    - to: [{ operation: { paths: [/closed, /shop.Cart/Add] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: open, namespace: shop }
spec: { rules: [{ to: [{ operation: { paths: [/open] } }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: asking, namespace: shop }
spec:
  action: CUSTOM
  provider: { name: down }
  rules: [{ to: [{ operation: { paths: [/asked] } }] }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: down, namespace: tools }
spec:
  hosts: [down.tools]
  resolution: STATIC
  ports: [{ number: 9000, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: PORT } }]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { jwtRules: [{ issuer: someone, jwks: '{"keys":[]}' }] }
`;

/** A workload whose application claims to be what denies. */
async function startShop(t: TestContext, denialHeader: boolean) {
  const app = createServer((_, response) => {
    response.writeHead(200, { [HEADER]: 'the application' }).end();
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => void app.close());
  const http = (app.address() as AddressInfo).port;
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const policies = objectsOf(OBJECTS.replace('PORT', String((await startTcpApp(t)).port)));
  const settings = { denialHeader, extensionProviders: PROVIDERS };
  const mesh = new ExplicitMesh(testMesh([...objects, ...policies], settings), testAuthority());
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
  return { port: backend.listenPort('http'), envoy: backend.envoy };
}

interface Answer {
  readonly status: number;
  readonly by: string | undefined;
}

function ask(port: number, path: string, headers: IncomingHttpHeaders = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, headers, agent: false }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0, by: answer.headers[HEADER]?.toString() });
    });
    sent.on('error', reject).end();
  });
}

/** The same over HTTP/2 as gRPC does it; the status is that of gRPC where there is one. */
function call(port: number, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const stream = session.request(headers);
    stream.on('error', reject);
    stream.on('response', (answer) => {
      const status = Number(answer['grpc-status'] ?? answer[':status']);
      session.destroy();
      resolve({ status, by: answer[HEADER]?.toString() });
    });
    stream.end();
  });
}

const GRPC = { ':method': 'POST', ':path': '/shop.Cart/Add', 'content-type': 'application/grpc' };
const PERMISSION_DENIED = 7;
const RULE = 'rbac_access_denied_matched_policy[ns[shop]-policy[closed]-rule[1]]';

test('denied callers learn the rule where the mesh says so', { timeout: 240_000 }, async (t) => {
  const { port } = await startShop(t, true);
  await waitUntil(async () => (await ask(port, '/open')).status === 200, 'policies are in force');
  assert.deepEqual(await ask(port, '/closed'), { status: 403, by: RULE });
  assert.deepEqual(await ask(port, '/other'), { status: 403, by: 'no ALLOW rule matches' });
  const asking = 'istio-ext-authz-down-ns[shop]-policy[asking]-rule[0]';
  assert.deepEqual(await ask(port, '/asked'), { status: 403, by: asking });
  const token = await ask(port, '/open', { authorization: 'Bearer x.y.z' });
  assert.equal(token.status, 401);
  assert.match(token.by ?? '', /^jwt_authn_access_denied\{/);
  assert.deepEqual(await call(port, { ':path': '/closed' }), { status: 403, by: RULE });
  assert.deepEqual(await call(port, GRPC), { status: PERMISSION_DENIED, by: RULE });
  const open = await ask(port, '/open');
  assert.deepEqual(open, { status: 200, by: undefined }, 'the application cannot say so');
});

test('nobody learns it where the mesh does not say so, but rules are counted', {
  timeout: 240_000,
}, async (t) => {
  const { port, envoy } = await startShop(t, false);
  await waitUntil(async () => (await ask(port, '/open')).status === 200, 'policies are in force');
  assert.deepEqual(await ask(port, '/closed'), { status: 403, by: undefined });
  assert.deepEqual(await ask(port, '/other'), { status: 403, by: undefined });
  assert.deepEqual(await call(port, GRPC), { status: PERMISSION_DENIED, by: undefined });
  const metrics = new Metrics();
  const counts = new PolicyCounts({
    admin: { get: async (path) => ({ status: 200, body: await envoy.admin(path) }) },
    log: silentLogger,
    metrics: createAgentMetrics(metrics),
    run: () => 1,
  });
  await counts.look();
  const text = await metrics.text();
  assert.match(text, /policy="shop\/closed",rule="1",decision="denied"\} 2$/m);
  assert.match(text, /policy="none",rule="",decision="denied"\} 1$/m);
  assert.match(text, /policy="shop\/open",rule="0",decision="allowed"\} \d+$/m);
});
