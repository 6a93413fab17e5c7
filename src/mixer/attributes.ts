import type { ValueType } from '#mixer/expression.ts';

/**
 * Where an attribute is known. `request`: to the proxy of the server, for each request; `workload`:
 * beforehand, from the workload that is called; `report`: only after the answer, so it is absent
 * when access is decided; `nowhere`: to nobody here.
 */
export type Knowledge = 'request' | 'workload' | 'report' | 'nowhere';

/** Attributes of requests that Envoy knows and does not tell in the words of policies. */
const UNTOLD: ReadonlySet<string> = new Set(['destination.ip', 'destination.port']);

/** An attribute of Mixer's vocabulary. */
export interface AttributeInfo {
  readonly type: ValueType;
  readonly known: Knowledge;
  /** Only HTTP requests have it. */
  readonly http?: true;
  /** How much of its text can be asked for. */
  readonly asked: Asked;
  /** Whether the agent beside the proxy is told of it when it is asked about a request. */
  readonly isTold: boolean;
}

/**
 * What Envoy can be asked of an attribute: whether it matches a regular expression, has a beginning
 * or an end, just whether it is a value as a whole, or nothing.
 */
export type Asked = 'pattern' | 'part' | 'whole' | 'nothing';

type Row = readonly [ValueType, Knowledge, ...('http' | Asked)[]];

const NOWHERE = (type: ValueType): Row => [type, 'nowhere'];
const REPORT = (type: ValueType): Row => [type, 'report'];

/** The attribute vocabulary (Istio 1.5, "Attribute Vocabulary"), as far as sidecars give it. */
const ROWS: Readonly<Record<string, Row>> = {
  'source.principal': ['STRING', 'request', 'part'],
  'source.user': ['STRING', 'request', 'part'],
  'source.namespace': ['STRING', 'request', 'part'],
  'source.workload.namespace': ['STRING', 'request', 'part'],
  'source.serviceAccount': ['STRING', 'request', 'whole'],
  'source.ip': ['IP_ADDRESS', 'request', 'whole'],
  'source.uid': NOWHERE('STRING'),
  'source.name': NOWHERE('STRING'),
  'source.owner': NOWHERE('STRING'),
  'source.port': NOWHERE('INT64'),
  'source.labels': NOWHERE('STRING_MAP'),
  'source.workload.name': NOWHERE('STRING'),
  'source.workload.uid': NOWHERE('STRING'),
  'source.service': NOWHERE('STRING'),
  'source.services': NOWHERE('STRING'),
  'source.cluster.id': NOWHERE('STRING'),
  'origin.ip': NOWHERE('IP_ADDRESS'),
  'origin.uid': NOWHERE('STRING'),
  'origin.user': NOWHERE('STRING'),

  'destination.ip': ['IP_ADDRESS', 'request', 'whole'],
  'destination.port': ['INT64', 'request', 'whole'],
  'destination.uid': ['STRING', 'workload'],
  'destination.name': ['STRING', 'workload'],
  'destination.namespace': ['STRING', 'workload'],
  'destination.labels': ['STRING_MAP', 'workload'],
  'destination.principal': ['STRING', 'workload'],
  'destination.user': ['STRING', 'workload'],
  'destination.serviceAccount': ['STRING', 'workload'],
  'destination.workload.namespace': ['STRING', 'workload'],
  'destination.workload.name': NOWHERE('STRING'),
  'destination.workload.uid': NOWHERE('STRING'),
  'destination.owner': NOWHERE('STRING'),
  'destination.cluster.id': NOWHERE('STRING'),
  'destination.container.name': NOWHERE('STRING'),
  'destination.container.image': NOWHERE('STRING'),
  'destination.service': ['STRING', 'workload'],
  'destination.service.host': ['STRING', 'workload'],
  'destination.service.name': ['STRING', 'workload'],
  'destination.service.namespace': ['STRING', 'workload'],
  'destination.service.uid': ['STRING', 'workload'],

  'request.method': ['STRING', 'request', 'http'],
  'request.path': ['STRING', 'request', 'http'],
  'request.url_path': ['STRING', 'request', 'http'],
  'request.host': ['STRING', 'request', 'http', 'part'],
  'request.headers': ['STRING_MAP', 'request', 'http'],
  'request.useragent': ['STRING', 'request', 'http'],
  'request.referer': ['STRING', 'request', 'http'],
  'request.id': ['STRING', 'request', 'http'],
  'request.auth.principal': ['STRING', 'request', 'http', 'whole'],
  'request.auth.audiences': ['STRING', 'request', 'http'],
  'request.auth.presenter': ['STRING', 'request', 'http'],
  'request.auth.claims': ['STRING_MAP', 'request', 'http'],
  'request.auth.raw_claims': NOWHERE('STRING'),
  'request.api_key': NOWHERE('STRING'),
  'request.query_params': ['STRING_MAP', 'request', 'http', 'nothing'],
  'request.scheme': NOWHERE('STRING'),
  'request.reason': NOWHERE('STRING'),
  'request.size': NOWHERE('INT64'),
  'request.total_size': REPORT('INT64'),
  'request.time': NOWHERE('TIMESTAMP'),

  'connection.mtls': ['BOOL', 'request', 'whole'],
  'connection.requested_server_name': ['STRING', 'request'],
  'connection.id': NOWHERE('STRING'),
  'connection.event': NOWHERE('STRING'),
  'connection.received.bytes': REPORT('INT64'),
  'connection.received.bytes_total': REPORT('INT64'),
  'connection.sent.bytes': REPORT('INT64'),
  'connection.sent.bytes_total': REPORT('INT64'),
  'connection.duration': REPORT('DURATION'),

  'response.code': REPORT('INT64'),
  'response.duration': REPORT('DURATION'),
  'response.headers': REPORT('STRING_MAP'),
  'response.size': REPORT('INT64'),
  'response.total_size': REPORT('INT64'),
  'response.time': REPORT('TIMESTAMP'),
  'response.grpc_status': REPORT('STRING'),
  'response.grpc_message': REPORT('STRING'),
  'check.error_code': REPORT('INT64'),
  'check.error_message': REPORT('STRING'),
  'check.cache_hit': REPORT('BOOL'),
  'quota.cache_hit': REPORT('BOOL'),
  'context.proxy_error_code': REPORT('STRING'),

  'context.protocol': ['STRING', 'request', 'whole'],
  'context.reporter.kind': ['STRING', 'workload'],
  'context.reporter.local': ['BOOL', 'workload'],
  'context.reporter.uid': NOWHERE('STRING'),
  'context.time': NOWHERE('TIMESTAMP'),
  'context.timestamp': NOWHERE('TIMESTAMP'),
  'api.service': NOWHERE('STRING'),
  'api.version': NOWHERE('STRING'),
  'api.operation': NOWHERE('STRING'),
  'api.protocol': NOWHERE('STRING'),
};

/** The names of the vocabulary, to tell which one is meant. */
export const ATTRIBUTE_NAMES: readonly string[] = Object.keys(ROWS);

/** An attribute of the vocabulary by its name; undefined for one that it does not have. */
export function attributeNamed(name: string): AttributeInfo | undefined {
  if (!Object.hasOwn(ROWS, name)) return undefined;
  const [type, known, ...flags] = ROWS[name] as Row;
  return {
    type,
    known,
    ...(flags.includes('http') ? { http: true } : {}),
    asked: flags.find((flag) => flag !== 'http') ?? 'pattern',
    isTold: known === 'request' && !UNTOLD.has(name),
  };
}
