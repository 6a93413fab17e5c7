import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startEchoApp } from './echo-app.ts';
import { accountsYaml, applicationYaml, policyYaml, strictYaml, yamlOf } from './mesh-objects.ts';
import { RealMesh } from './real-mesh.ts';

/** Trust domains of the two meshes: `shop.test` calls, `bank.test` serves. */
export const FEDERATION = { caller: 'shop.test', server: 'bank.test' } as const;

/** The host by which the caller knows the service of the other mesh, through an HTTP proxy. */
export const FEDERATED_HOST = 'http://ledger.bank/';

const SERVER_OBJECTS = yamlOf(
  applicationYaml('bank', 'ledger'),
  strictYaml('bank'),
  allowPrincipal(`${FEDERATION.caller}/ns/shop/sa/web`),
);

const callerObjects = (port: number): string =>
  yamlOf(
    accountsYaml('shop', 'web'),
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ledger, namespace: shop }
spec:
  hosts: [ledger.bank]
  ports:
    - { number: 80, name: http, protocol: HTTP }
    - { number: 81, name: tcp, protocol: TCP }
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port}, tcp: ${port} } }]
  subjectAltNames: ['spiffe://${FEDERATION.server}/ns/bank/sa/ledger']
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ledger, namespace: shop }
spec: { host: ledger.bank, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
`,
  );

/** The policy of the service: only this principal may call. */
export function allowPrincipal(principal: string): string {
  const rule = `{ from: [{ source: { principals: ['${principal}'] } }] }`;
  const spec = `{ selector: { matchLabels: { app: ledger } }, rules: [${rule}] }`;
  return policyYaml('bank', 'callers', spec);
}

/** A TrustBundle with this bundle, or what else its spec says. */
export function trustBundleOf(trustDomain: string, spec: Readonly<Record<string, unknown>>) {
  return JSON.stringify({
    apiVersion: 'bulwark.mesh/v1alpha1',
    kind: 'TrustBundle',
    metadata: { name: trustDomain },
    spec: { trustDomain, ...spec },
  });
}

/** The roots of a mesh as the server writes them, PEM. */
export function rootsOf(mesh: RealMesh): string {
  return readFileSync(join(mesh.data, 'root-cert.pem'), 'utf8');
}

/**
 * Two meshes that do not know each other yet: in one `web` calls `ledger` in the other, which
 * allows just that caller. What goes to `tcpPort` makes a handshake of its own.
 */
export async function startTwoMeshes(
  t: TestContext,
  serverArgs: Readonly<Partial<Record<keyof typeof FEDERATION, readonly string[]>>> = {},
) {
  const [caller, server] = [new RealMesh(t), new RealMesh(t)];
  await caller.startServer('--trust-domain', FEDERATION.caller, ...(serverArgs.caller ?? []));
  await server.startServer('--trust-domain', FEDERATION.server, ...(serverArgs.server ?? []));
  await server.apply(SERVER_OBJECTS);
  const app = { ports: [{ name: 'http', port: await startEchoApp(t, 'ledger') }] };
  const ledger = await server.startAgent('ledger', {
    trustDomain: FEDERATION.server,
    workloads: [workload('bank', 'ledger', { group: 'ledger', app })],
  });
  const listen = (await ledger('ledger')).ports.inbound[0]?.listen ?? 0;
  await caller.apply(callerObjects(listen));
  const web = await caller.startAgent('web', {
    trustDomain: FEDERATION.caller,
    workloads: [workload('shop', 'web', { upstreams: ['ledger.bank:81'] })],
  });
  const { httpProxyPort, upstreams } = (await web('web')).ports;
  const tcpPort = upstreams[0]?.listen ?? 0;
  return { caller, server, listen, web, ledger, proxyPort: httpProxyPort, tcpPort };
}

function workload(namespace: string, name: string, more: object) {
  return { namespace, serviceAccount: name, name, mode: 'explicit', ...more };
}
