import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { readMeshConfig } from '#api/mesh-config.ts';
import { extensionProviders } from '#model/extension-provider.ts';
import { startGrpcAuthorizer, startHttpAuthorizer } from './authorizer-service.ts';
import { type SeenRequest, startEchoApp, startTcpApp } from './echo-app.ts';
import { ExplicitMesh } from './explicit-workload.ts';
import { freePort } from './free-port.ts';
import { testMesh } from './mesh.ts';
import { objectsOf, serviceObjects } from './objects.ts';
import { callPeer, statusOf } from './peer-call.ts';
import { testAuthority } from './test-authority.ts';

/** A service outside of the mesh, at a port of this machine. */
function outside(name: string, protocol: string, port: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: tools }
spec:
  hosts: [${name}.tools]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 9000, name: ${protocol}, protocol: ${protocol} }]
  endpoints: [{ address: 127.0.0.1, ports: { ${protocol}: ${port} } }]
`;
}

const MESH_CONFIG = `
extensionProviders:
  - name: web
    envoyExtAuthzHttp:
      service: tools/web.tools
      port: 9000
      pathPrefix: /check
      includeRequestHeadersInCheck: [x-asked, x-role]
      includeAdditionalHeadersInCheck: { x-from: mesh }
      headersToUpstreamOnAllow: [x-user, "x-user-*"]
      headersToDownstreamOnDeny: [x-reason]
      headersToDownstreamOnAllow: [x-session]
  - name: body
    envoyExtAuthzHttp:
      service: web.tools
      port: 9000
      includeRequestBodyInCheck: { maxRequestBytes: 4, allowPartialMessage: true }
  - name: impatient
    envoyExtAuthzHttp: { service: web.tools, port: 9000, timeout: 100ms, statusOnError: "503" }
  - name: lenient
    envoyExtAuthzHttp:
      { service: web.tools, port: 9000, timeout: 100ms, failOpen: true, headersToUpstreamOnAllow: [x-user] }
  - name: down
    envoyExtAuthzHttp: { service: down.tools, port: 9000 }
  - name: nowhere
    envoyExtAuthzHttp: { service: nowhere.tools, port: 9000 }
  - name: rpc
    envoyExtAuthzGrpc: { service: rpc.tools, port: 9000 }
`;

/** A policy of `shop` that asks a provider. */
export function custom(name: string, provider: string, rules: string) {
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: { action: CUSTOM, provider: { name: ${provider} }, rules: ${rules} }
`);
}

/** Rules for every request. */
export const EVERYTHING = '[{}]';
/** Rules for what begins with `/admin`. */
export const ADMIN = '[{ to: [{ operation: { paths: ["/admin*"] } }] }]';
const APPLICATION_HTTP = 80;
const APPLICATION_TCP = 90;

/** A workload `shop/app`, with an Envoy and with providers beside it. */
export async function startCustomMesh(t: TestContext) {
  const web = await startHttpAuthorizer(t);
  const rpc = await startGrpcAuthorizer(t);
  const services = [
    outside('web', 'http', web.port),
    outside('rpc', 'grpc', rpc.port),
    outside('down', 'http', await freePort()),
  ];
  const ports = [
    { name: 'http', port: APPLICATION_HTTP },
    { name: 'tcp', port: APPLICATION_TCP },
  ];
  const { config, diagnostics } = readMeshConfig(MESH_CONFIG, 'mesh');
  assert.deepEqual(diagnostics, []);
  const mesh = new ExplicitMesh(
    testMesh([...serviceObjects('shop', 'app', ports), ...services.flatMap(objectsOf)], {
      extensionProviders: extensionProviders(config.extensionProviders ?? []),
    }),
    testAuthority(),
  );
  const http = await startEchoApp(t, 'app');
  const tcp = await startTcpApp(t);
  const app = await mesh.start(t, {
    namespace: 'shop',
    name: 'app',
    ports: { http, tcp: tcp.port },
  });
  const certificate = mesh.authority.issue({ uris: ['spiffe://cluster.local/ns/web/sa/caller'] });
  const apply = (...objects: ReturnType<typeof objectsOf>) => {
    const old = mesh.mesh.model.snapshot().authorizationPolicies.all();
    mesh.mesh.remove(...old);
    mesh.mesh.put(...objects);
    mesh.publish();
  };
  const ask = async (target: string, headers = '', body = '') => {
    const head = `POST ${target} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n${headers}`;
    await mesh.settled();
    const data = `${head}content-length: ${body.length}\r\n\r\n${body}`;
    const { text } = await callPeer({ port: app.listenPort('http'), certificate, data });
    const [first = '', answer = ''] = text.split('\r\n\r\n');
    return { status: statusOf({ text, error: undefined }), head: first, body: answer };
  };
  // The application's answers come in chunks (RFC 9112 section 7.1).
  const seen = ({ body }: { readonly body: string }) =>
    JSON.parse(/\{.*\}/s.exec(body)?.[0] ?? '{}') as SeenRequest;
  return { web, rpc, mesh, app, tcp, certificate, apply, ask, seen };
}
