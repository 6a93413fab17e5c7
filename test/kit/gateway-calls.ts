import assert from 'node:assert/strict';
import type { CallSpelling } from '#cli/calls/call-spelling.ts';
import { callText, verdictText } from '#cli/calls/decision-text.ts';
import { readCall } from '#cli/calls/read-call.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { Decider } from '#policy/decide/decider.ts';
import { testMesh } from './mesh.ts';
import { groupYaml, policyYaml } from './mesh-objects.ts';
import { groupObject, objectsOf, serviceObjects } from './objects.ts';

const LABEL = ', gateway.networking.k8s.io/gateway-name: kube';
const OBJECTS = [
  ...serviceObjects('shop', 'web', [{ name: 'http', port: 80 }]),
  ...serviceObjects('shop', 'other', [{ name: 'http', port: 80 }]),
  ...serviceObjects('shop', 'db', [{ name: 'tcp', port: 5000 }]),
  groupObject('far', 'lone'),
  ...objectsOf(groupYaml('edge', 'gate', LABEL)),
  ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec:
  selector: { app: gate }
  servers:
    - { port: { number: 80, name: http, protocol: HTTP }, hosts: ['shop/*.example.com'] }
    - port: { number: 80, name: moved, protocol: HTTP }
      hosts: [moved.example.com]
      tls: { httpsRedirect: true }
    - port: { number: 443, name: https, protocol: HTTPS }
      hosts: [shop/a.example.com]
      tls: { mode: SIMPLE, credentialName: cert }
    - port: { number: 443, name: mutual, protocol: HTTPS }
      hosts: [shop/m.example.com]
      tls: { mode: MUTUAL, credentialName: cert, subjectAltNames: [partner] }
    - port: { number: 443, name: mesh, protocol: HTTPS }
      hosts: [shop/mesh.example.com]
      tls: { mode: ISTIO_MUTUAL }
    - { port: { number: 443, name: pass, protocol: TLS }, hosts: ['shop/*.pass.example.com'], tls: { mode: PASSTHROUGH } }
    - { port: { number: 443, name: auto, protocol: TLS }, hosts: [auto.example.com], tls: { mode: AUTO_PASSTHROUGH } }
    - { port: { number: 9000, name: tcp, protocol: TCP }, hosts: ['*'] }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: idle, namespace: edge }
spec:
  selector: { app: nobody }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: kube, namespace: edge }
spec:
  gatewayClassName: bulwark
  listeners: [{ name: web, port: 8000, protocol: HTTP }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: near, namespace: edge }
spec:
  parentRefs: [{ name: kube }]
  hostnames: [near.example.com]
  rules: [{ matches: [{ path: { value: /near } }], filters: [{ type: RequestRedirect, requestRedirect: { hostname: far.example.com } }] }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: barred, namespace: shop }
spec:
  parentRefs: [{ name: kube, namespace: edge }]
  hostnames: [barred.example.com]
  rules: [{ backendRefs: [{ name: web, port: 80 }] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: all, namespace: shop }
spec:
  hosts: ['*.example.com']
  gateways: [edge/front]
  http:
    - match: [{ uri: { prefix: /split } }]
      route:
        - { destination: { host: web }, weight: 75 }
        - { destination: { host: other }, weight: 25 }
    - match: [{ uri: { prefix: /other } }]
      route: [{ destination: { host: other } }]
    - match: [{ uri: { prefix: /safe }, scheme: { exact: https } }]
      directResponse: { status: 204 }
    - match: [{ uri: { prefix: /old }, withoutHeaders: { '@request.auth.claims.role': { exact: new } } }]
      directResponse: { status: 410 }
    - route: [{ destination: { host: web } }]
  tls:
    - match: [{ sniHosts: [db.pass.example.com] }]
      route: [{ destination: { host: db } }]
  tcp: [{ route: [{ destination: { host: db } }] }]
`),
];

/** An AuthorizationPolicy `p`. */
export const policyOf = (namespace: string, spec: string) =>
  objectsOf(policyYaml(namespace, 'p', spec));

/** What a test adds to the mesh. */
export interface GatewayWorld {
  readonly objects?: readonly ReturnType<typeof objectsOf>[number][];
  readonly settings?: Partial<MeshSettings>;
}

/** A host of HTTP and of HTTPS. */
export const A_HOST = { host: 'a.example.com' };

/**
 * What becomes of a call through the gateways of a mesh: `edge/front` with servers of every kind,
 * `edge/kube` of the Gateway API, before `shop/web`, `shop/other` and `shop/db`.
 */
export function askThrough(
  spelling: Partial<CallSpelling>,
  { objects = [], settings = {} }: GatewayWorld = {},
) {
  const mesh = testMesh([...OBJECTS, ...objects], settings).model.snapshot();
  const decider = new Decider(mesh);
  const through = { from: 'outside', through: 'edge/front:80', ...spelling };
  const { calls, notes } = readCall(through, mesh, 'edge');
  const ends = calls.flatMap((call) => decider.follow(call, 0));
  return { mesh, notes, ends };
}

/** What is said of each way, as a line; what the caller sees; and who decides, at which layer. */
export function saidThrough(spelling: Partial<CallSpelling>, world?: GatewayWorld) {
  return askThrough(spelling, world).ends.map(({ call, decision }) => {
    const { decidedBy, answer } = decision;
    const { object, layer, at, field } = decidedBy;
    const by = object && `${object.kind} ${object.namespace}/${object.name}`;
    return { line: verdictText(decision), what: callText(call), answer, by, layer, at, field };
  });
}

/** The same of a call with one way. */
export const onlySaid = (spelling: Partial<CallSpelling>, world?: GatewayWorld) => {
  const found = saidThrough(spelling, world);
  assert.equal(found.length, 1, JSON.stringify(found));
  return found[0];
};
