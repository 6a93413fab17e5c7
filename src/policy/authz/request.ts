import type { HardeningProfile, PathNormalization } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import { connectionOptions } from '#policy/authz/connection-options.ts';
import { keptValues } from '#policy/authz/kept-headers.ts';
import { canonicalPath, hostOfTarget, withoutFragment } from '#policy/authz/request-path.ts';

/** What is known of an HTTP request when policy is asked. */
export interface HttpFacts {
  readonly method: string;
  /** The target as the caller sends it: `/a/../b?x`, or with the origin before it. */
  readonly target: string;
  /** The Host header or `:authority`; of a target with an origin, that one counts. */
  readonly host?: string | undefined;
  /** Other headers, by name in any letter case; a list for a header that comes several times. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** The payload of the verified token. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** A request, or a plain connection, whose authorization is asked for. */
export interface AuthzRequest {
  readonly source: {
    /**
     * From the peer's certificate: its URI, or, at gateways, of one without, its subject; undefined
     * when there is none.
     */
    readonly identity?: string | undefined;
    /** The address of the connection. */
    readonly address: string;
    /**
     * The address of the original client when trusted proxies are between; else that of the
     * connection.
     */
    readonly originalAddress?: string | undefined;
  };
  readonly destination: {
    readonly address?: string | undefined;
    /** The port of the workload. */
    readonly port: number;
  };
  /** The server name of the TLS handshake, in any letter case. */
  readonly serverName?: string | undefined;
  /** Undefined for a connection that is not HTTP. */
  readonly http?: HttpFacts | undefined;
  /**
   * Whose identity a principal of a policy is: `peer` when left out. A plain connection has no
   * token: there it is the peer's in any case.
   */
  readonly principals?: PrincipalBinding | undefined;
  /** What filters left behind, by filter and key. */
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
}

/** A request in the form that conditions are tested on. Texts that it does not have are ''. */
export interface AuthzFacts {
  readonly identity: string;
  /** `<issuer>/<subject>`, where that is what principals are about; else undefined. */
  readonly endUser: string | undefined;
  readonly sourceIp: string;
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly port: number;
  readonly serverName: string;
  readonly host: string;
  readonly method: string;
  /** Normalized, without query. */
  readonly path: string;
  /** All values of a header; none when it is absent. */
  header(name: string): readonly string[];
  readonly claims: unknown;
  readonly metadata: AuthzRequest['metadata'];
}

/**
 * The facts of a request as Envoy would see them; undefined for one that Envoy refuses before
 * policy is asked.
 */
export function factsOf(
  request: AuthzRequest,
  paths: PathNormalization,
  profile: HardeningProfile,
): AuthzFacts | undefined {
  const { source, destination, http } = request;
  const target = withoutFragment(http?.target ?? '', profile);
  if (target === undefined) return undefined;
  const path = http === undefined ? '' : canonicalPath(target, paths);
  const dropped = http?.headers ? connectionOptions(http.headers) : [];
  const host = hostOfTarget(target) ?? http?.host;
  if (path === undefined || dropped === undefined || host === '') return undefined;
  let headers: ReadonlyMap<string, readonly string[]> | undefined;
  return {
    identity: source.identity ?? '',
    endUser: request.principals === 'origin' && http ? endUserOf(http) : undefined,
    sourceIp: source.address,
    remoteIp: source.originalAddress ?? source.address,
    destinationIp: destination.address ?? '',
    port: destination.port,
    // Envoy keeps it so.
    serverName: request.serverName?.toLowerCase() ?? '',
    host: host ?? '',
    method: http?.method ?? '',
    path,
    header: (name) => {
      // Most rules ask for none.
      headers ??= headersOf(http, { target, path, host, dropped });
      return headers.get(name.toLowerCase()) ?? [];
    },
    claims: http?.claims,
    metadata: request.metadata,
  };
}

/** '' for who has no token, or one that names nobody. */
function endUserOf({ claims = {} }: HttpFacts): string {
  const { iss, sub } = claims;
  const isNamed = typeof iss === 'string' && typeof sub === 'string' && iss !== '' && sub !== '';
  return isNamed ? `${iss}/${sub}` : '';
}

/** No part of a header's value (RFC 9110 section 5.5). */
const SURROUNDING_SPACE = /^[ \t]+|[ \t]+$/g;

/** Headers by name in lower case, with those that Envoy makes of the request line. */
function headersOf(
  http: HttpFacts | undefined,
  {
    target,
    path,
    host,
    dropped,
  }: {
    readonly target: string;
    readonly path: string;
    readonly host: string | undefined;
    readonly dropped: readonly string[];
  },
): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(http?.headers ?? {})) {
    const key = name.toLowerCase();
    const values = [value].flat().map((text) => text.replace(SURROUNDING_SPACE, ''));
    headers.set(key, [...(headers.get(key) ?? []), ...values]);
  }
  if (http === undefined) return headers;
  for (const [name, values] of headers) {
    const kept = keptValues(name, values);
    if (kept.length === 0) headers.delete(name);
    else headers.set(name, kept);
  }
  for (const name of dropped) headers.delete(name);
  const query = target.indexOf('?');
  headers.set(':method', [http.method]);
  headers.set(':path', [query < 0 ? path : path + target.slice(query)]);
  if (host === undefined) return headers;
  // Envoy keeps the Host header under the name it has in HTTP/2, and finds it under both.
  headers.set(':authority', [host]);
  headers.set('host', [host]);
  return headers;
}
