import { describeError } from '#base/errors.ts';
import { type KubeClient, refusal } from '#kubeclient/kube-client.ts';

/** A service of the mesh that an application stands behind. */
export interface ServiceRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly service: string;
  readonly group: string;
  /** Name of the port: `http`, `grpc`, `tcp`. Says what is spoken there. */
  readonly portName: string;
  /** The port that callers use. */
  readonly servicePort: number;
  /** The port of the application. */
  readonly port: number;
}

/** An object to be there, and where objects of its kind live. */
interface Wanted {
  readonly collection: string;
  readonly name: string;
  readonly shown: string;
  readonly body: unknown;
}

/**
 * Makes sure that a Service and a WorkloadGroup exist; those that do are left as they are.
 * @returns one line for each, saying what was done or what stands in the way
 */
export async function ensureServiceObjects(
  client: KubeClient,
  request: ServiceRequest,
): Promise<readonly string[]> {
  const lines: string[] = [];
  const { service, portName, port } = request;
  const group = groupOf({ ...request, labels: { app: service }, ports: { [portName]: port } });
  for (const wanted of [serviceOf(request), group]) lines.push(await ensure(client, wanted));
  return lines;
}

/** A WorkloadGroup: who may register in it, and with which labels. */
export interface GroupRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly group: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports?: Readonly<Record<string, number>>;
}

/** Makes sure that a WorkloadGroup exists; one that does is left as it is. Says what was done. */
export function ensureGroup(client: KubeClient, request: GroupRequest): Promise<string> {
  return ensure(client, groupOf(request));
}

/**
 * Makes sure that a role lets a gateway read the Secrets of its namespace: without, it is handed
 * none. A binding that exists is left as it is. Says what was done.
 */
export function ensureSecretReader(
  client: KubeClient,
  { namespace, serviceAccount }: Pick<GroupRequest, 'namespace' | 'serviceAccount'>,
): Promise<string> {
  const apiGroup = 'rbac.authorization.k8s.io';
  const name = `bulwark-gateway-${serviceAccount}`;
  return ensure(client, {
    collection: `/apis/${apiGroup}/v1/namespaces/${namespace}/rolebindings`,
    name,
    shown: `role binding ${namespace}/${name}`,
    body: {
      apiVersion: `${apiGroup}/v1`,
      kind: 'RoleBinding',
      metadata: { name, namespace },
      roleRef: { apiGroup, kind: 'ClusterRole', name: 'bulwark:gateway' },
      subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace }],
    },
  });
}

async function ensure(client: KubeClient, wanted: Wanted): Promise<string> {
  const { collection, name, shown, body } = wanted;
  try {
    const present = await client.send({ method: 'GET', path: `${collection}/${name}` });
    if (present.status < 300) return `${shown} exists`;
    if (present.status !== 404) throw refusal(present);
    const made = await client.send({ method: 'POST', path: collection, body });
    if (made.status < 300) return `${shown} created`;
    if (made.status === 409) return `${shown} exists`;
    throw refusal(made);
  } catch (error) {
    return `${shown} not created: ${describeError(error)}`;
  }
}

function serviceOf(request: ServiceRequest): Wanted {
  const { namespace, service, portName, servicePort } = request;
  return {
    collection: `/api/v1/namespaces/${namespace}/services`,
    name: service,
    shown: `service ${namespace}/${service}`,
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: service, namespace },
      spec: {
        selector: { app: service },
        ports: [{ name: portName, port: servicePort, targetPort: portName }],
      },
    },
  };
}

function groupOf({ namespace, group, serviceAccount, labels, ports }: GroupRequest): Wanted {
  return {
    collection: `/apis/networking.istio.io/v1/namespaces/${namespace}/workloadgroups`,
    name: group,
    shown: `workload group ${namespace}/${group}`,
    body: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadGroup',
      metadata: { name: group, namespace },
      spec: { metadata: { labels }, template: { serviceAccount, ...(ports && { ports }) } },
    },
  };
}
