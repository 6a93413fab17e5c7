import { BulwarkError } from '#base/errors.ts';
import type { Call, GivenToken } from '#policy/decide/call.ts';

/** A call as a user spells it, on the command line or in a test. */
export interface CallSpelling {
  /** `NAMESPACE/ACCOUNT`, a SPIFFE id, or `outside`. */
  readonly from: string;
  /**
   * `NAMESPACE/SERVICE[:PORT]`, or `SERVICE.NAMESPACE[:PORT]`; through a gateway it may be left
   * out.
   */
  readonly to?: string | undefined;
  /** The gateway that it comes in through: `NAMESPACE/GATEWAY[:PORT]`. */
  readonly through?: string | undefined;
  /** The name of the certificate that gateways may ask for; '' = whichever they ask for. */
  readonly certificate?: string | undefined;
  readonly ip?: string | undefined;
  readonly method?: string | undefined;
  /** With query, if any. */
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  readonly token?: GivenToken | undefined;
  /** Whether it is what the proxy of the caller sends, so that no route has a say any more. */
  readonly isRouted?: boolean | undefined;
}

/** A call that was read: one for each workload that may get it. */
export interface CallRead {
  readonly calls: readonly Call[];
  /** What was taken for granted; sentences for standard error. */
  readonly notes: readonly string[];
}

/** The word for callers that are not in the mesh. */
export const OUTSIDE = 'outside';

/** A mistake of the command line. */
export function usage(message: string, remedy?: string): BulwarkError {
  return new BulwarkError('CLI_USAGE', message, remedy === undefined ? {} : { remedy });
}

/**
 * Reads `Name: value`, several of them.
 * @throws BulwarkError CLI_USAGE
 */
export function readHeaders(lines: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const [, name, value] = /^([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw usage(`"${line}" is no header`, 'write --header "Name: value"');
    headers.set(name, [...(headers.get(name) ?? []), value]);
  }
  return Object.fromEntries(headers);
}

/**
 * Reads the claims of a token: a JSON object, or a JWT, whose signature is not verified.
 * @throws BulwarkError CLI_USAGE
 */
export function readToken(text: string): GivenToken {
  const trimmed = text.trim();
  const parts = trimmed.split('.');
  const payload = trimmed.startsWith('{')
    ? trimmed
    : parts.length === 3 && parts.every((part) => /^[-_A-Za-z0-9]*$/.test(part))
      ? Buffer.from(parts[1] ?? '', 'base64url').toString('utf8')
      : undefined;
  const claims = payload === undefined ? undefined : parseObject(payload);
  if (claims === undefined) {
    const remedy = 'give the claims as JSON ({"iss": …, "sub": …}), or a token of three parts';
    throw usage('the token cannot be read', remedy);
  }
  return { claims };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined; // the caller says what it should be
  }
}

/**
 * Reads `NAME[:PORT]`.
 * @throws BulwarkError CLI_USAGE
 */
export function readTarget(to: string): {
  readonly name: string;
  readonly port: number | undefined;
} {
  const [, name, port] = /^([^:\s]+)(?::(\d{1,5}))?$/.exec(to) ?? [];
  if (name === undefined) throw usage(`"${to}" is no service`, 'write NAMESPACE/SERVICE:PORT');
  return { name, port: port === undefined ? undefined : Number(port) };
}

/**
 * The request that is described; undefined on a port that is not HTTP.
 * @throws BulwarkError CLI_USAGE for what means nothing there
 */
export function readHttp(
  { method, path, host, headers, token }: CallSpelling,
  serviceHost: string,
  handling: 'http' | 'tcp' | 'sniffed' | 'none',
  port: number,
): Call['http'] {
  const given = Object.entries({ method, path, host, headers, token });
  const [first] = given.find(([, value]) => value !== undefined) ?? [];
  if (handling !== 'http' && handling !== 'sniffed') {
    if (first === undefined) return undefined;
    throw usage(`port ${port} of ${serviceHost} is not HTTP: ${first} means nothing there`);
  }
  if (path !== undefined && !path.startsWith('/') && !/^https?:\/\//i.test(path))
    throw usage(`"${path}" is no path`, 'a path begins with /');
  if (method !== undefined && !/^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/.test(method))
    throw usage(`"${method}" is no method`);
  const facts = { method: method ?? 'GET', target: path ?? '/', host: host ?? serviceHost };
  return headers === undefined ? facts : { ...facts, headers };
}
