import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { extensionProviders } from '#model/extension-provider.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { startEchoApp, startTcpApp } from './echo-app.ts';
import { ExplicitMesh } from './explicit-workload.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import { testMesh } from './mesh.ts';
import { groupObject, objectsOf, serviceObjects } from './objects.ts';
import { callPeer, httpRequest, statusOf } from './peer-call.ts';
import { type TestAuthority, testAuthority } from './test-authority.ts';

/** A request to the guarded application. */
export interface HardeningCall {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Account of the caller in `web`, or its whole identity; plaintext when left out. */
  readonly as?: string;
}

/** A mesh of one profile, in which the differences can be seen from outside. */
export type HardeningWorld = Awaited<ReturnType<typeof startHardeningWorld>>;

const GREETING = '220 ready';
const DOMAIN = 'spiffe://cluster.local';

/** Providers that are of no use: the service of one is not even known to the mesh. */
const PROVIDERS = extensionProviders([
  {
    name: 'down',
    envoyExtAuthzHttp: { service: 'down.tools', port: 9000, headersToUpstreamOnAllow: ['x-user'] },
  },
  { name: 'nowhere', envoyExtAuthzHttp: { service: 'nowhere.tools', port: 9000 } },
]);

/** Services beside the guarded one: one whose account nobody knows, one outside of the mesh. */
const others = (vague: number, bank: number, down: number): string => `
apiVersion: v1
kind: Service
metadata: { name: vague, namespace: shop }
spec: { selector: { app: vague }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: vague, namespace: shop }
spec:
  address: 127.0.0.1
  ports: { http: ${vague} }
  labels: { app: vague, security.istio.io/tlsMode: istio }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: bank, namespace: web }
spec:
  hosts: [bank.example.com]
  resolution: STATIC
  ports: [{ number: 9443, name: tcp, protocol: TCP }]
  endpoints: [{ address: 127.0.0.1, ports: { tcp: ${bank} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: bank, namespace: web }
spec: { host: bank.example.com, trafficPolicy: { tls: { mode: SIMPLE } } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: down, namespace: tools }
spec:
  hosts: [down.tools]
  resolution: STATIC
  ports: [{ number: 9000, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${down} } }]
`;

/** The guarded application, and a caller that has a proxy of its own. */
async function startProxies(test: Pick<TestContext, 'after'>, hardening: HardeningProfile) {
  const authority = testAuthority();
  const outside = testAuthority('outside');
  const vague = await startTlsApp(test, authority, { uris: [`${DOMAIN}/ns/elsewhere/sa/x`] });
  const bank = await startTlsApp(test, outside, { dnsNames: ['thief.example.org'] });
  // It answers, but no HTTP.
  const noProvider = await startTcpApp(test);
  const ports = [
    { name: 'http', port: 80 },
    { name: 'mysql', port: 3306 },
  ];
  const objects = [
    ...serviceObjects('shop', 'backend', ports),
    groupObject('web', 'caller'),
    ...objectsOf(others(vague, bank, noProvider.port)),
  ];
  const settings = { hardening, extensionProviders: PROVIDERS };
  const mesh = new ExplicitMesh(testMesh(objects, settings), authority);
  const backend = await mesh.start(test, {
    namespace: 'shop',
    name: 'backend',
    ports: {
      http: await startEchoApp(test, 'backend'),
      mysql: (await startTcpApp(test, GREETING)).port,
    },
  });
  const caller = await mesh.start(test, {
    namespace: 'web',
    name: 'caller',
    upstreams: [{ host: 'bank.example.com', port: 9443 }],
    rootFiles: { 'file-root:system': outside.root },
  });
  return { mesh, backend, caller };
}

/** Starts the mesh; ends with the test. */
export async function startHardeningWorld(
  test: Pick<TestContext, 'after'>,
  hardening: HardeningProfile,
) {
  const { mesh, backend, caller } = await startProxies(test, hardening);
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  test.after(() => client.close());
  const certificateOf = (as: string) =>
    mesh.authority.issue({ uris: [as.includes(':') ? as : `${DOMAIN}/ns/web/sa/${as}`] });
  const ask = async ({ path, headers, as }: HardeningCall, enough: RegExp) => {
    await mesh.settled();
    return callPeer(
      {
        port: backend.listenPort('http'),
        ...(as === undefined ? {} : { certificate: certificateOf(as) }),
        data: httpRequest(path, headers).replace(/host: test\r\n(?=[\s\S]*host: )/, ''),
      },
      enough,
    );
  };
  return {
    settings: mesh.mesh.settings,
    /** Puts policies of `shop` in place of those before. */
    apply(yaml: string): void {
      const { authorizationPolicies, requestAuthentications, authenticationPolicies } =
        mesh.mesh.model.snapshot();
      for (const old of [authorizationPolicies, requestAuthentications, authenticationPolicies])
        mesh.mesh.remove(...old.all());
      mesh.mesh.put(...objectsOf(yaml));
      mesh.publish();
    },
    status: async (call: HardeningCall): Promise<number> =>
      statusOf(await ask(call, /^HTTP\/1\.1 \d{3} /)),
    /** Whether the application gets to see a header that the caller sends. */
    passes: async (name: string): Promise<boolean> =>
      (await ask({ path: '/plain', headers: { [name]: '192.0.2.7' } }, /\}\s/)).text.includes(
        `"${name}"`,
      ),
    /** What the server that speaks first says to a caller. */
    greets: async (as: string): Promise<boolean> => {
      await mesh.settled();
      const call = { port: backend.listenPort('mysql'), certificate: certificateOf(as) };
      return (await callPeer({ ...call, alpn: ['istio'], data: '' }, /ready/)).text === GREETING;
    },
    /** The status that the caller's own proxy gives for a service of unknown account. */
    callsVague: async (): Promise<number> =>
      (await client.ask({ target: 'http://vague.shop/' })).status,
    /** Whether an outside server with another name is talked to, over TCP. */
    callsBank: async (): Promise<boolean> => {
      const call = { port: caller.upstreamPort('bank.example.com'), data: httpRequest('/') };
      return statusOf(await callPeer(call, /^HTTP/)) === 200;
    },
    /** The configuration of the filters of policies. */
    filters: async (): Promise<string> => {
      await mesh.settled();
      return backend.envoy.admin('/config_dump?resource=ecds_filters');
    },
  };
}

/** A server that answers 200 over TLS, as this. Gives its port. */
async function startTlsApp(
  test: Pick<TestContext, 'after'>,
  authority: TestAuthority,
  names: Parameters<TestAuthority['issue']>[0],
): Promise<number> {
  const { certificate, privateKey } = authority.issue(names);
  const server = createServer(
    {
      cert: certificate,
      key: privateKey,
      // As a proxy of the mesh offers it, too.
      ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
    },
    (_, response) => response.end('hello'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
