/** Objects that tests of whole meshes apply, as YAML documents. */

/** Ports of the service and of the application behind it. */
const PORTS = {
  http: { port: 80, target: 8080 },
  tcp: { port: 81, target: 8081 },
  grpc: { port: 82, target: 8082 },
  'tcp-other': { port: 83, target: 8083 },
} as const;

export type PortName = keyof typeof PORTS;

/** One text of several documents. */
export const yamlOf = (...documents: readonly string[]): string =>
  documents.map((document) => document.trim()).join('\n---\n');

/** A namespace with service accounts. */
export const accountsYaml = (namespace: string, ...accounts: readonly string[]): string =>
  yamlOf(
    `apiVersion: v1\nkind: Namespace\nmetadata: { name: ${namespace} }`,
    ...accounts.map(
      (name) =>
        `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name}, namespace: ${namespace} }`,
    ),
  );

/** A service `name` and the group of its workloads, which run as the account of the same name. */
export function serviceYaml(
  namespace: string,
  name: string,
  ports: readonly PortName[] = ['http'],
): string {
  const metadata = `metadata: { name: ${name}, namespace: ${namespace} }`;
  const offered = ports.map(
    (port) => `{ name: ${port}, port: ${PORTS[port].port}, targetPort: ${port} }`,
  );
  const targets = ports.map((port) => `${port}: ${PORTS[port].target}`);
  return `
apiVersion: v1
kind: Service
${metadata}
spec: { selector: { app: ${name} }, ports: [${offered.join(', ')}] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
${metadata}
spec:
  metadata: { labels: { app: ${name} } }
  template: { serviceAccount: ${name}, ports: { ${targets.join(', ')} } }
`;
}

/** The same with the namespace and the account. */
export const applicationYaml = (
  namespace: string,
  name: string,
  ports?: readonly PortName[],
): string => yamlOf(accountsYaml(namespace, name), serviceYaml(namespace, name, ports));

/**
 * A namespace with an account and the group of its workloads, of the same name.
 * @param labels more labels, as YAML between braces; '' for none
 */
export const groupYaml = (namespace: string, name: string, labels = ''): string =>
  yamlOf(
    accountsYaml(namespace, name),
    `
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  metadata: { labels: { app: ${name}${labels} } }
  template: { serviceAccount: ${name} }
`,
  );

/** A service on port 80, and at `10.0.0.1` the one workload of it that is registered: `NAME-1`. */
export const registeredYaml = (namespace: string, name: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}-1, namespace: ${namespace} }
spec: { address: 10.0.0.1, labels: { app: ${name} }, serviceAccount: ${name} }
`;

/** An AuthorizationPolicy. @param spec as YAML on one line */
export const policyYaml = (namespace: string, name: string, spec: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;

/** All workloads of a namespace take mutual TLS alone. */
export const strictYaml = (namespace: string): string => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: ${namespace} }
spec: { mtls: { mode: STRICT } }
`;

/** A workload of namespace `shop` with an HTTP proxy of its own, for the agent's configuration. */
export const workloadOf = (serviceAccount: string, more: object = {}): object => ({
  ...{ namespace: 'shop', serviceAccount, name: serviceAccount, mode: 'explicit' },
  ...more,
});

/** What lets a service account read the Secrets of its namespace: its proxies are handed them. */
export const secretReaderYaml = (namespace: string, account: string): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: secrets-of-${account}, namespace: ${namespace} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'bulwark:gateway' }
subjects: [{ kind: ServiceAccount, name: ${account} }]
`;

/** The Gateway `outside` of the Gateway API, which takes HTTP on a port for routes of everybody. */
export const outsideYaml = (namespace: string, port: number): string =>
  `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: outside, namespace: ${namespace} }
spec:
  gatewayClassName: bulwark
  listeners:
    - { name: web, port: ${port}, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }
`.trim();
