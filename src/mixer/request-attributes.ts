import type { Value } from '#mixer/expression.ts';
import { FUNCTIONS } from '#mixer/functions.ts';
import type { Attributes } from '#mixer/interpret.ts';

/** What is known of a request beside the workload that it is for. */
export interface RequestFacts {
  /** The SPIFFE id of the peer, with its scheme; '' without one. */
  readonly identity: string;
  /** The address of the connection. */
  readonly sourceIp: string;
  /** The server name of the TLS handshake, '' without one. */
  readonly serverName: string;
  readonly method: string;
  readonly host: string;
  /** As it came, normalized, with its query. */
  readonly target: string;
  /** The value of a header by its name in lower case, several joined by commas. */
  header(name: string): string | undefined;
  /** The payload of the verified token. */
  readonly claims: unknown;
}

const IDENTITY = /^spiffe:\/\/([^/]+\/ns\/([^/]+)\/sa\/(.+))$/;

/** The attributes of a request. Those of the workload are absent: they are known beforehand. */
export function requestAttributes(request: RequestFacts): Attributes {
  const known = new Map<string, Value | undefined>();
  return (name) => {
    if (!known.has(name)) known.set(name, attributeOf(name, request));
    return known.get(name);
  };
}

function attributeOf(name: string, request: RequestFacts): Value | undefined {
  const [, principal, namespace, account] = IDENTITY.exec(request.identity) ?? [];
  const { target, claims } = request;
  switch (name) {
    case 'source.principal':
    case 'source.user':
      return principal;
    case 'source.namespace':
    case 'source.workload.namespace':
      return namespace;
    case 'source.serviceAccount':
      return account;
    case 'source.ip':
      return FUNCTIONS.get('ip')?.apply(request.sourceIp);
    case 'connection.mtls':
      return request.identity !== '';
    case 'connection.requested_server_name':
      return request.serverName || undefined;
    case 'context.protocol':
      return request.header('content-type')?.startsWith('application/grpc') ? 'grpc' : 'http';
    case 'request.method':
      return request.method;
    case 'request.host':
      return request.host || undefined;
    case 'request.path':
      return target;
    case 'request.url_path':
      return target.replace(/[?#].*$/s, '');
    case 'request.query_params':
      return queryOf(target);
    case 'request.headers':
      return new Headers(request);
    case 'request.useragent':
      return request.header('user-agent');
    case 'request.referer':
      return request.header('referer');
    case 'request.id':
      return request.header('x-request-id');
    case 'request.auth.principal': {
      const [issuer, subject] = [textOf(member(claims, 'iss')), textOf(member(claims, 'sub'))];
      return issuer === undefined || subject === undefined ? undefined : `${issuer}/${subject}`;
    }
    case 'request.auth.audiences':
      return textOf(member(claims, 'aud'));
    case 'request.auth.presenter':
      return textOf(member(claims, 'azp'));
    case 'request.auth.claims':
      return claimsOf(claims);
    default:
      return undefined;
  }
}

/** The headers of a request, by names in any letter case. */
class Headers extends Map<string, string> {
  readonly #request: Pick<RequestFacts, 'header'>;

  constructor(request: Pick<RequestFacts, 'header'>) {
    super();
    this.#request = request;
  }

  override get(name: string): string | undefined {
    return this.#request.header(name.toLowerCase());
  }
}

/** As they are written; of a parameter that comes twice the first. */
function queryOf(target: string): ReadonlyMap<string, string> {
  const at = target.indexOf('?');
  const query = at < 0 ? '' : target.slice(at + 1).replace(/#.*$/s, '');
  const parameters = new Map<string, string>();
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    if (part === '' || parameters.has(name)) continue;
    parameters.set(name, equals < 0 ? '' : part.slice(equals + 1));
  }
  return parameters;
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

/** A text, or several joined by commas. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.every((one) => typeof one === 'string') ? value.join(',') : undefined;
}

function claimsOf(claims: unknown): ReadonlyMap<string, string> | undefined {
  if (typeof claims !== 'object' || claims === null) return undefined;
  const texts = Object.entries(claims).flatMap(([name, value]) => {
    const text = textOf(value);
    return text === undefined ? [] : [[name, text] as const];
  });
  return new Map(texts);
}
