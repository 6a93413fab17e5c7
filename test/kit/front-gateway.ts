import { applicationYaml, groupYaml, outsideYaml, policyYaml, yamlOf } from './mesh-objects.ts';
import { TokenIssuer } from './token-issuer.ts';

/** Who signs the tokens that the gateway takes. */
export const ISSUER = new TokenIssuer('https://issuer.example');
/** Of the mesh configuration. */
export const TOPOLOGY = { trustedProxies: 1, proxyProtocol: false };
/** A host that is served in clear. */
export const HELLO = 'hello.example.com';
/** Of the certificate that a server asks for. */
export const PARTNER = 'partner.example';

/** Where it listens: in clear, by TLS, by the Gateway API, and for plain connections. */
export type FrontPorts = Readonly<Record<'plain' | 'secured' | 'kube' | 'raw' | 'shut', number>>;

const server = (name: string, port: number, protocol: string, hosts: string, tls = '') =>
  `    - { port: { number: ${port}, name: ${name}, protocol: ${protocol} }, hosts: [${hosts}]${tls} }`;
const tlsOf = (mode: string, more = '') => `, tls: { mode: ${mode}${more} }`;

const gateways = ({ plain, secured, kube, raw, shut }: FrontPorts) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec:
  selector: { app: gate }
  servers:
${server('http', plain, 'HTTP', `greet/${HELLO}, "greet/*.wild.example.com"`)}
${server('moved', plain, 'HTTP', 'moved.example.com', ', tls: { httpsRedirect: true }')}
${server('s', secured, 'HTTPS', 's.example.com', tlsOf('SIMPLE', ', credentialName: cert'))}
${server('m', secured, 'HTTPS', 'm.example.com', tlsOf('MUTUAL', `, credentialName: cert, subjectAltNames: [${PARTNER}]`))}
${server('o', secured, 'HTTPS', 'o.example.com', tlsOf('OPTIONAL_MUTUAL', ', credentialName: cert'))}
${server('i', secured, 'HTTPS', 'i.example.com', tlsOf('ISTIO_MUTUAL'))}
${server('raw', raw, 'TCP', "'*'")}
${server('shut', shut, 'TCP', "'*'")}
---
${outsideYaml('edge', kube)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: api, namespace: greet }
spec:
  parentRefs: [{ name: outside, namespace: edge }]
  hostnames: [${HELLO}]
  rules:
    - matches: [{ path: { value: /in } }]
      backendRefs: [{ name: hello, port: 80 }]
`;

const ROUTES = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hello, namespace: greet }
spec:
  hosts: [${HELLO}, moved.example.com, s.example.com, m.example.com, o.example.com, i.example.com, "*.wild.example.com", bare.example.com]
  gateways: [edge/front]
  http:
    - match: [{ uri: { prefix: /in/role }, headers: { "@request.auth.claims.role": { exact: admin } } }]
      rewrite: { uri: /closed }
      route: [{ destination: { host: hello, port: { number: 80 } } }]
    - match: [{ uri: { prefix: /in/teapot } }]
      directResponse: { status: 418 }
    - match: [{ uri: { prefix: /in/safe }, scheme: { exact: https } }]
      redirect: { uri: /, redirectCode: 307 }
    - match: [{ uri: { prefix: /in/lost } }]
      route: [{ destination: { host: missing } }]
    - match: [{ uri: { prefix: /in } }]
      route: [{ destination: { host: hello, port: { number: 80 } } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: raw, namespace: greet }
spec:
  hosts: ['*']
  gateways: [edge/front]
  tcp: [{ route: [{ destination: { host: echo.tools } }] }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: 'defaultConfig: { gatewayTopology: { numTrustedProxies: 1 } }' }
`;

/** The gateway's account may read what it serves with. */
const SECRETS = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: certificates, namespace: edge }
rules: [{ apiGroups: [''], resources: [secrets], verbs: [get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: gate, namespace: edge }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: certificates }
subjects: [{ kind: ServiceAccount, name: gate, namespace: edge }]
`;

/** Without ports, rules about HTTP would be about plain connections as well. */
const policies = ({ plain, secured, kube, raw }: FrontPorts) => {
  const ports = `ports: ['${plain}', '${secured}', '${kube}']`;
  const to = (rest: string) => `to: [{ operation: { ${rest}, ${ports} } }]`;
  const deny = [
    `{ ${to('paths: ["/in/admin*"]')} }`,
    `{ ${to('paths: ["/in/safe"]')}, when: [{ key: "request.headers[x-forwarded-proto]", values: [http] }] }`,
    `{ ${to('hosts: [bad.wild.example.com]')} }`,
    `{ from: [{ source: { remoteIpBlocks: [203.0.113.0/24] } }], ${to('methods: ["*"]')} }`,
    `{ from: [{ source: { notRequestPrincipals: ["*"] } }], ${to('paths: [/in/user]')} }`,
  ];
  const allow = [
    `{ ${to('notHosts: [m.example.com, i.example.com]')} }`,
    `{ from: [{ source: { principals: ["*"] } }], ${to('hosts: [m.example.com]')} }`,
    `{ from: [{ source: { namespaces: [default] } }], ${to('hosts: [i.example.com]')} }`,
    `{ from: [{ source: { ipBlocks: [127.0.0.1] } }], to: [{ operation: { ports: ['${raw}'] } }] }`,
  ];
  const header = (name: string, value: string) =>
    `{ to: [{ operation: { paths: [/in/claims] } }], when: [{ key: "request.headers[${name}]", values: ["${value}"] }] }`;
  const headers = [header('x-who', 'bad'), header('x-level', '7'), header('x-payload', 'mine')];
  const gate = 'principals: [cluster.local/ns/edge/sa/gate]';
  return [
    policyYaml('edge', 'deny', `{ action: DENY, rules: [${deny}] }`),
    policyYaml('edge', 'allow', `{ rules: [${allow}] }`),
    policyYaml('greet', 'claims', `{ action: DENY, rules: [${headers}] }`),
    policyYaml(
      'greet',
      'hello',
      `{ rules: [{ from: [{ source: { ${gate} } }], to: [{ operation: { notPaths: ["/closed*", /in/shut] } }] }] }`,
    ),
    `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: edge }
spec:
  selector: { matchLabels: { app: gate } }
  jwtRules:
    - issuer: "${ISSUER.issuer}"
      jwks: '${ISSUER.keySet}'
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: x-who, claim: sub }, { header: x-level, claim: level.of }]
`,
  ];
};

/** Outside of the mesh, so that policies of the gateway alone decide. */
const echo = (port: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo, namespace: greet }
spec:
  hosts: [echo.tools]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 9000, name: tcp, protocol: TCP }]
  endpoints: [{ address: 127.0.0.1, ports: { tcp: ${port} } }]
`;

/** A gateway `edge/front` with servers of every kind, and rules at every layer. */
export const frontYaml = (ports: FrontPorts, echoPort: number): string =>
  yamlOf(
    applicationYaml('greet', 'hello'),
    groupYaml('edge', 'gate', ', gateway.networking.k8s.io/gateway-name: outside'),
    SECRETS,
    gateways(ports),
    ROUTES,
    echo(echoPort),
    ...policies(ports),
  );
