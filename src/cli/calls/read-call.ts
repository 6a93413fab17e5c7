import { isIP } from 'node:net';
import { nearName } from '#api/near-name.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Call, Caller, GivenToken } from '#policy/decide/call.ts';
import { type CallerRecord, callersOf } from '#policy/decide/callers.ts';
import { findServicePort, findTargets } from '#policy/decide/find-targets.ts';
import { routedCalls } from '#policy/decide/routed-calls.ts';
import {
  parseSpiffeId,
  parseWorkloadId,
  type SpiffeId,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';

/** A call as a user spells it, on the command line or in a test. */
export interface CallSpelling {
  /** `NAMESPACE/ACCOUNT`, a SPIFFE id, or `outside`. */
  readonly from: string;
  /** `NAMESPACE/SERVICE[:PORT]`, or `SERVICE.NAMESPACE[:PORT]`. */
  readonly to: string;
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

/**
 * Finds what a user means in a mesh.
 * @param namespace of a service that is named without one
 * @throws BulwarkError CLI_USAGE for names that are not there and words that mean nothing
 */
export function readCall(spelling: CallSpelling, mesh: MeshSnapshot, namespace: string): CallRead {
  const { from, notes } = readCaller(spelling, mesh);
  const found = findServicePort({ ...readTarget(spelling.to), namespace }, mesh);
  if ('problem' in found) throw usage(found.problem, found.remedy);
  const { service, port } = found;
  const http = readHttp(spelling, service.host, PROTOCOLS[port.protocol].handling, port.port);
  const { token } = spelling;
  if (http !== undefined && spelling.isRouted !== true) {
    const calls = routedCalls({ from, service, port, http, token }, mesh);
    if (calls) return { calls, notes: [...notes, ...calls.slice(0, 1).flatMap(assumption)] };
  }
  const targets = findTargets(service, port, mesh);
  if ('problem' in targets) throw usage(targets.problem, targets.remedy);
  const calls = targets.map((to): Call => ({ from, to, http, token }));
  return { calls, notes: [...notes, ...calls.slice(0, 1).flatMap(assumption)] };
}

/** What was taken for the workload, in words. */
function assumption({ to, route }: Call): readonly string[] {
  const { host } = to.service;
  if (route?.answer !== undefined) return [];
  if (to.assumed === 'group')
    return [`no workload of ${host} runs: its WorkloadGroup stands for them`];
  if (to.assumed === 'selector')
    return [`no workload of ${host} is known: labels are those of its selector`];
  return [];
}

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

function readTarget(to: string): { readonly name: string; readonly port: number | undefined } {
  const [, name, port] = /^([^:\s]+)(?::(\d{1,5}))?$/.exec(to) ?? [];
  if (name === undefined) throw usage(`"${to}" is no service`, 'write NAMESPACE/SERVICE:PORT');
  return { name, port: port === undefined ? undefined : Number(port) };
}

function readHttp(
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

function readCaller({ from, ip }: CallSpelling, mesh: MeshSnapshot) {
  if (ip !== undefined && isIP(ip) === 0) throw usage(`"${ip}" is no IP address`);
  const notes: string[] = [];
  if (from === OUTSIDE) {
    const outside: Caller = { identity: undefined, namespace: '', labels: {}, address: ip ?? '' };
    return { from: outside, notes };
  }
  const identity = readIdentity(from, mesh);
  const known = callersOf(mesh);
  const record = known.find((one) => one.identity === identity);
  if (!record && parseWorkloadId(identity)?.trustDomain === mesh.settings.trustDomain)
    notes.push(unknownCaller(from, known));
  const namespace = parseWorkloadId(identity)?.namespace ?? '';
  const { labels = {}, address = '' } = record ?? {};
  return { from: { identity, namespace, labels, address: ip ?? address }, notes };
}

function unknownCaller(from: string, known: readonly CallerRecord[]): string {
  const near = nearName(
    from,
    known.map(({ name }) => name),
  );
  return `nothing in the mesh runs as ${from}${near ? `; did you mean ${near}?` : ''}`;
}

function readIdentity(from: string, { settings }: MeshSnapshot): SpiffeId {
  const [namespace = '', serviceAccount = '', ...more] = from.split('/');
  try {
    if (from.includes('://')) return parseSpiffeId(from);
    if (serviceAccount === '' || more.length > 0)
      throw usage(`"${from}" is no caller`, `write NAMESPACE/ACCOUNT, a SPIFFE id, or ${OUTSIDE}`);
    return workloadSpiffeId({ trustDomain: settings.trustDomain, namespace, serviceAccount });
  } catch (error) {
    if (isBulwarkError(error, 'SPIFFE_INVALID')) throw usage(error.message);
    throw error;
  }
}
