import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDocuments } from '#api/documents.ts';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { testMesh } from '../../../kit/mesh.ts';
import type { BehaviourRow } from './behaviour-row.ts';
import { renderTemplate, type TemplateValue } from './template.ts';

/** Where the services of a row are, unless their name says another: `xInNS2`. */
const NAMESPACE = 'ns1';
const ROOT_NAMESPACE = 'istio-system';
const SERVICES = ['a', 'b', 'c', 'd', 'e', 'x'];
const NAMESPACES = [NAMESPACE, 'ns2'];
/** Ports of the applications by the names that the tables use; other names end with the number. */
const PORTS: Readonly<Record<string, number>> = {
  http: 18_080,
  http2: 18_085,
  grpc: 17_070,
  tcp: 19_090,
  https: 18_443,
};

/** A service or a caller by its namespace and name. */
export interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** `c`, or `cInNS2`. */
export function placeOf(text: string): Place {
  const [, name = text, number] = /^(\w+?)InNS(\d)$/.exec(text) ?? [];
  return { name, namespace: number === undefined ? NAMESPACE : `ns${number}` };
}

/** The port of an application. */
export function portOf(name: string): number {
  const port = PORTS[name] ?? Number(/-(\d+)$/.exec(name)?.[1]);
  if (Number.isNaN(port)) throw new Error(`not built: a port ${name}`);
  return port;
}

/** A mesh of the services of these tables with the policies of a row. */
export function meshFor({ release, templates, from, to, ports }: BehaviourRow, folder: string) {
  const [allowed = '', denied = ''] = from;
  const place = { allowed, denied, to };
  const policies = templates.flatMap((file) => {
    const path = join(folder, `templates-${release}`, file);
    const text = renderTemplate(readFileSync(path, 'utf8'), valuesFor(place));
    return policiesOf(text, file);
  });
  const services = NAMESPACES.flatMap((namespace) =>
    SERVICES.flatMap((name) => serviceObjects({ namespace, name }, ports)),
  );
  return testMesh([...services, ...policies], { hardening: 'istio' });
}

/** What is written without a namespace is applied in that of the services. */
function policiesOf(text: string, file: string): ApiObject[] {
  const { documents, diagnostics } = readDocuments(text, { source: file });
  const [problem] = diagnostics;
  if (problem) throw new Error(`${file}:${problem.line}: ${problem.message}`);
  return documents.map(({ value }) => {
    const object = value as unknown as ApiObject;
    const { namespaced } = kindOf(object.apiVersion, object.kind) ?? { namespaced: true };
    const { namespace = NAMESPACE, ...metadata } = object.metadata;
    return { ...object, metadata: { ...metadata, ...(namespaced ? { namespace } : {}) } };
  });
}

function serviceObjects(
  { namespace, name }: Place,
  called: readonly string[],
): readonly ApiObject[] {
  const metadata = { name, namespace };
  const names = new Set([...Object.keys(PORTS), ...called]);
  const ports = [...names].map((portName) => ({ name: portName, port: portOf(portName) }));
  const service = { selector: { app: name }, ports };
  const address = `10.${NAMESPACES.indexOf(namespace)}.0.${SERVICES.indexOf(name) + 1}`;
  const entry = { address, labels: { app: name }, serviceAccount: name };
  const ready = { 'security.istio.io/tlsMode': 'istio' };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: service },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata,
      spec: { ...entry, labels: { ...entry.labels, ...ready } },
    },
  ] as unknown as ApiObject[];
}

function valuesFor(row: { allowed: string; denied: string; to: string }): TemplateValue {
  const namespaces = Object.fromEntries(
    NAMESPACES.map((name, index) => [`Namespace${index + 1}`, name]),
  );
  return {
    ...namespaces,
    Namespace: NAMESPACE,
    RootNamespace: ROOT_NAMESPACE,
    SystemNamespace: ROOT_NAMESPACE,
    To: echo(row.to),
    From: echo(row.allowed),
    Allowed: echo(row.allowed),
    Denied: echo(row.denied),
  };
}

/** A service as templates see it. */
function echo(text: string): TemplateValue {
  const { name, namespace } = placeOf(text);
  return {
    ServiceName: name,
    ServiceAccountName: name,
    NamespaceName: namespace,
    ClusterLocalFQDN: `${name}.${namespace}.svc.cluster.local`,
    SpiffeIdentity: `cluster.local/ns/${namespace}/sa/${name}`,
    PortForName: (port) => ({ WorkloadPort: portOf(port), ServicePort: portOf(port) }),
  };
}
