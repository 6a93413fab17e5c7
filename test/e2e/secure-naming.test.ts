import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Where the one server of these tests listens, and what it proves to be. */
const SERVER = 'spiffe://cluster.local/ns/shop/sa/backend';
const OTHER = 'spiffe://cluster.local/ns/shop/sa/other';

/** Each way to make the server known: objects that make it callable as `host`. */
interface Way {
  readonly name: string;
  readonly host: string;
  /** @param account service account that the objects claim for the server */
  readonly objects: (port: number, account: string) => readonly ApiObject[];
}

const endpoint = (port: number, account: string): string =>
  `{ address: 127.0.0.1, ports: { http: ${port} }, serviceAccount: ${account} }`;

function workloadEntry(port: number, account: string, name: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: shop }
spec:
  address: 127.0.0.1
  ports: { http: ${port} }
  labels: { app: ${name} }
  serviceAccount: ${account}
`;
}

const serviceEntry = (spec: string): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: entry, namespace: shop }
spec:
  hosts: [entry.internal]
  location: MESH_INTERNAL
  ports: [{ number: 80, name: http, protocol: HTTP }]
${spec}
`;

const service = (name: string, more: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80 }]${more} }
`;

const WAYS: readonly Way[] = [
  {
    name: 'a Service',
    host: 'plain.shop',
    objects: (port, account) =>
      objectsOf(`${service('plain', '')}---${workloadEntry(port, account, 'plain')}`),
  },
  {
    name: 'a headless Service',
    host: 'headless.shop',
    objects: (port, account) =>
      objectsOf(
        `${service('headless', ', clusterIP: None')}---${workloadEntry(port, account, 'headless')}`,
      ),
  },
  {
    name: 'a ServiceEntry with an endpoint of known account',
    host: 'entry.internal',
    objects: (port, account) =>
      objectsOf(serviceEntry(`  resolution: STATIC\n  endpoints: [${endpoint(port, account)}]`)),
  },
  {
    name: 'a ServiceEntry that selects a WorkloadEntry',
    host: 'entry.internal',
    objects: (port, account) =>
      objectsOf(
        `${serviceEntry('  resolution: STATIC\n  workloadSelector: { labels: { app: selected } }')}
---${workloadEntry(port, account, 'selected')}`,
      ),
  },
  {
    name: 'a ServiceEntry whose DNS name is looked up',
    host: 'entry.internal',
    objects: (port, account) =>
      objectsOf(
        serviceEntry(
          `  resolution: DNS\n  endpoints: [${endpoint(port, account).replace('127.0.0.1', 'localhost')}]`,
        ),
      ),
  },
  {
    name: 'the subjectAltNames of a ServiceEntry',
    host: 'entry.internal',
    objects: (port, account) =>
      objectsOf(
        serviceEntry(`  resolution: STATIC
  subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/${account}']
  endpoints:
    - address: 127.0.0.1
      ports: { http: ${port} }
      labels: { security.istio.io/tlsMode: istio }`),
      ),
  },
];

test('a server must prove that it may run the service', { timeout: 240_000 }, async (t) => {
  const mesh = new ExplicitMesh(
    testMesh([groupObject('shop', 'backend'), groupObject('web', 'caller')]),
    testAuthority(),
  );
  const http = await startEchoApp(t, 'backend');
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());
  const port = backend.listenPort('http');
  const strict = objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`);
  mesh.mesh.put(...strict);

  for (const { name, host, objects } of WAYS) {
    await t.test(`${name}: who it may be is called, anybody else is not`, async () => {
      const target = `http://${host}/`;
      const right = objects(port, SERVER.slice(SERVER.lastIndexOf('/') + 1));
      mesh.mesh.put(...right);
      mesh.publish();
      await waitUntil(
        async () => (await client.ask({ target })).status === 200,
        'the server is called',
      );
      mesh.mesh.put(...objects(port, OTHER.slice(OTHER.lastIndexOf('/') + 1)));
      mesh.publish();
      await waitUntil(
        async () => (await client.ask({ target })).status === 503,
        'the server is refused',
      );
      // A first 503 may be that of a cluster that is about to be replaced.
      const refused = await waitUntil(async () => {
        assert.equal((await client.ask({ target })).status, 503);
        return caller
          .accessLog()
          .find((line) => String(line.authority).startsWith(host) && reasonOf(line) !== '');
      }, 'the refused server is logged');
      assert.match(reasonOf(refused), /SAN_matcher/);
      mesh.mesh.remove(...right);
      mesh.publish();
    });
  }
});

function reasonOf(line: Readonly<Record<string, unknown>>): string {
  return String(line.upstream_transport_failure_reason ?? '');
}
