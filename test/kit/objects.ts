import { parseAllDocuments } from 'yaml';
import type { ApiObject } from '#api/object.ts';

/** The objects of a YAML text with documents between `---`. */
export function objectsOf(yaml: string): ApiObject[] {
  return parseAllDocuments(yaml).map((document) => document.toJS() as ApiObject);
}

/**
 * A Service with its WorkloadGroup, both named like the service account that runs it and its `app`
 * label.
 */
export function serviceObjects(
  namespace: string,
  name: string,
  ports: readonly { readonly name: string; readonly port: number }[],
): ApiObject[] {
  const metadata = { name, namespace };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      selector: { app: name },
      ports: ports.map((port) => ({ ...port, targetPort: port.name || port.port })),
    },
  };
  return [service, groupObject(namespace, name)];
}

/** The WorkloadGroup of a service account. */
export function groupObject(namespace: string, name: string): ApiObject {
  const group = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadGroup',
    metadata: { name, namespace },
    spec: { metadata: { labels: { app: name } }, template: { serviceAccount: name } },
  };
  return group;
}
