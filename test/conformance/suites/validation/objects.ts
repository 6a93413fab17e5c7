/** A row of `validation.json`. */
export interface ValidationRow {
  readonly release: string;
  readonly suite: string;
  /** `Gateway`; with its version `rbac.istio.io/v1alpha1 ServiceRole`; `*` = any that has it. */
  readonly kind: string;
  /** `spec`, or where `in` is: `spec.http[].fault.abort`. */
  readonly in_is: string;
  readonly name: string;
  readonly in: unknown;
  readonly expect: { readonly valid: boolean; readonly errorContains?: string };
  readonly context?: {
    readonly configName?: string;
    readonly configNamespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

type Fields = { readonly [key: string]: unknown };

/** A spec that holds a part at its place, and is valid without it. */
type Parent = (part: unknown) => Fields;

const DESTINATION = { destination: { host: 'foo.baz' } };

/** A VirtualService with one route that answers by a destination. */
function route(part: Fields, answer: Fields = { route: [DESTINATION] }): Fields {
  return { hosts: ['foo.bar'], http: [{ ...answer, ...part }] };
}

/** A Gateway with one server. */
function server(part: Fields): Fields {
  const port = { number: 7, name: 'http', protocol: 'http' };
  return { selector: { app: 'gateway' }, servers: [{ hosts: ['foo.bar'], port, ...part }] };
}

/** A DestinationRule with a traffic policy. */
function traffic(trafficPolicy: unknown): Fields {
  return { host: 'foo.bar', trafficPolicy };
}

/** Settings of TLS that a server may have on a port of any protocol. */
function serverTls(tls: unknown): Fields {
  const port = { number: 443, name: 'https', protocol: 'HTTPS' };
  return server(tls === null ? { tls } : { tls, port });
}

/** A VirtualService for a host, with this route. */
function rootWith(one: unknown): Fields {
  return { hosts: ['foo.bar'], http: [withoutNil(one as Fields)] };
}

/**
 * A condition may be nil in a test written in Go. No text of a cluster says that: the schema
 * refuses null in a list.
 */
function withoutNil(one: Fields): Fields {
  const { match } = one;
  return Array.isArray(match) ? { ...one, match: match.filter((item) => item !== null) } : one;
}

const PARENTS: Readonly<Record<string, Parent>> = {
  'Gateway spec.servers[]': (part) => ({ ...server({}), servers: [part] }),
  'Gateway spec.servers[].port': (port) => server({ port }),
  'Gateway spec.servers[].tls': serverTls,
  'VirtualService spec.http[].corsPolicy': (corsPolicy) => route({ corsPolicy }),
  'VirtualService spec.http[].fault.abort': (abort) => route({ fault: faultOf({ abort }) }),
  'VirtualService spec.http[].fault.delay': (delay) => route({ fault: faultOf({ delay }) }),
  'VirtualService spec.http[].retries': (retries) => route({ retries }),
  'VirtualService spec.http[].rewrite': (rewrite) => route({ rewrite }),
  'VirtualService spec.http[].rewrite.uriRegexRewrite': (uriRegexRewrite) =>
    route({ rewrite: uriRegexRewrite === null ? { uri: '/' } : { uriRegexRewrite } }),
  'VirtualService spec.http[].redirect': (redirect) => route({ redirect }, {}),
  'VirtualService destination': (destination) => route({ route: [{ destination }] }),
  'VirtualService spec.http[]': rootWith,
  'VirtualService spec.http[] (root of delegation)': rootWith,
  'VirtualService spec.http[] (delegate)': (one) => ({ http: [withoutNil(one as Fields)] }),
  'VirtualService spec.http[].route': (list) => route({ route: list }),
  'VirtualService spec.tcp[].route': (list) => ({ hosts: ['foo.bar'], tcp: [{ route: list }] }),
  'DestinationRule spec.trafficPolicy': traffic,
  'DestinationRule spec.trafficPolicy.connectionPool': (connectionPool) =>
    traffic({ connectionPool }),
  'DestinationRule spec.trafficPolicy.outlierDetection': (outlierDetection) =>
    traffic({ outlierDetection }),
  'DestinationRule spec.trafficPolicy.loadBalancer': (loadBalancer) => traffic({ loadBalancer }),
  'DestinationRule spec.trafficPolicy.tls': (tls) => traffic({ tls }),
};

/** A fault needs a delay or an abort, so one beside an absent one. */
function faultOf(fault: Fields): Fields {
  const absent = Object.values(fault).every((value) => value === null);
  return absent ? { delay: { fixedDelay: '1s' } } : fault;
}

/** A spec that holds the part of the row; undefined = we know of no such part. */
function specOf({ kind, in_is: place, in: part }: ValidationRow): unknown {
  return place === 'spec' ? part : PARENTS[`${kind} ${place}`]?.(part);
}

const VERSIONS: Readonly<Record<string, string>> = {
  AuthorizationPolicy: 'security.istio.io/v1',
  PeerAuthentication: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
};

/**
 * The object that a row is about: what it gives, in an object that is valid otherwise. Undefined
 * where no object has such a part.
 */
export function objectOf(row: ValidationRow): Fields | undefined {
  if (row.in_is === 'port name') return serviceWith(row.name);
  if (row.kind === 'MeshConfig') return meshConfig({ [row.in_is]: row.in });
  if (row.in_is === 'exportTo') return exportedObject(row.in as ExportRow);
  const [first = '', second] = row.kind.split(' ');
  const [apiVersion, kind] =
    second === undefined ? [VERSIONS[first] ?? 'networking.istio.io/v1', first] : [first, second];
  const { configName = 'someName', configNamespace, annotations, labels } = row.context ?? {};
  // Names of the tests need not be names of objects; what is asked is about the rest.
  const name = configName.toLowerCase();
  const isOfCluster = kind === 'MeshPolicy' || kind === 'ClusterRbacConfig';
  const namespace = isOfCluster ? undefined : (configNamespace ?? 'default');
  const spec = specOf(row);
  if (spec === undefined) return undefined;
  const metadata = { name, namespace, annotations, labels };
  return { apiVersion, kind, metadata, ...(spec === null ? {} : { spec }) };
}

/** Settings of the mesh as they are kept; JSON is YAML. */
function meshConfig(settings: Fields): Fields {
  const metadata = { name: 'istio', namespace: 'istio-system' };
  const data = { mesh: JSON.stringify(settings) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

/** Two ports, since the name of a single one may be left out. */
function serviceWith(name: string): Fields {
  const ports = [
    { name, port: 80 },
    { name: 'other', port: 81 },
  ];
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports } };
}

/** Who sees an object, and what kind it is of. */
interface ExportRow {
  readonly namespace: string;
  readonly exportTo?: readonly string[];
  readonly isServiceEntry?: boolean;
  readonly isDestinationRuleWithSelector?: boolean;
}

function exportedObject(row: ExportRow): Fields {
  const { namespace, exportTo } = row;
  const base = { apiVersion: 'networking.istio.io/v1', metadata: { name: 'a', namespace } };
  if (row.isServiceEntry) {
    const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }];
    return { ...base, kind: 'ServiceEntry', spec: { hosts: ['foo.com'], ports, exportTo } };
  }
  const selector = row.isDestinationRuleWithSelector
    ? { workloadSelector: { matchLabels: { app: 'a' } } }
    : {};
  return { ...base, kind: 'DestinationRule', spec: { host: 'foo.com', exportTo, ...selector } };
}
