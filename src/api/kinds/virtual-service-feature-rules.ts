import { checkDuration } from '#api/duration.ts';
import {
  forbidden,
  invalid,
  required,
  tooLong,
  unsupported,
  violates,
  warning,
} from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { checkPort } from '#api/kinds/endpoint-rules.ts';
import { checkDestination } from '#api/kinds/virtual-service-destination-rules.ts';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { oneLineProblem } from '#api/one-line.ts';
import { regexProblem } from '#api/regex.ts';
import { parseDurationMs } from '#base/duration.ts';

/** Envoy takes no larger body. */
const BODY_BYTES_MAX = 1024 * 1024;
/** Conditions for another attempt (Envoy, "x-envoy-retry-on" and "x-envoy-retry-grpc-on"). */
const RETRY_ON = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];
/** Words for the statuses of gRPC, in the order of their numbers (google.rpc.Code). */
export const GRPC_STATUSES: readonly string[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];

/** Reports what is wrong with the parts of a route beside its conditions and destinations. */
export function checkFeatures(route: HttpRoute, field: string, report: Report): void {
  checkRedirect(route, field, report);
  checkDirectResponse(route, field, report);
  checkRewrite(route, field, report);
  checkRetries(route, field, report);
  checkFault(route, field, report);
  checkMirrors(route, field, report);
  checkCors(route, field, report);
}

function checkRedirect(
  { redirect, match = [], rewrite }: HttpRoute,
  field: string,
  report: Report,
) {
  if (!redirect) return;
  const { uri = '', prefixRewrite = '', authority = '', port, derivePort, redirectCode } = redirect;
  const at = `${field}.redirect`;
  if (rewrite) report(violates(field, 'redirect and rewrite exclude each other'));
  const changes = [uri, prefixRewrite, authority, redirect.scheme ?? '', port, derivePort];
  if (changes.every((change) => change === undefined || change === ''))
    report(required(at, 'one of uri, authority, port and scheme'));
  checkLines({ uri, prefixRewrite, authority, scheme: redirect.scheme }, at, report);
  if (!['', 'http', 'https'].includes(redirect.scheme ?? ''))
    report(unsupported(`${at}.scheme`, redirect.scheme, ['http', 'https']));
  if (uri && prefixRewrite) report(violates(at, 'uri and prefixRewrite exclude each other'));
  if (prefixRewrite && match.some((one) => one.uri && one.uri.prefix === undefined))
    report(violates(at, 'prefixRewrite needs a match by prefix'));
  if (port !== undefined && derivePort)
    report(violates(at, 'port and derivePort exclude each other'));
  if (port) checkPort(port, `${at}.port`, report);
  if (redirectCode && ![301, 302, 303, 307, 308].includes(redirectCode))
    report(invalid(`${at}.redirectCode`, redirectCode, 'must be 301, 302, 303, 307 or 308'));
}

/** Reports parts of a request line that have more than one. */
function checkLines(
  texts: Readonly<Record<string, string | undefined>>,
  field: string,
  report: Report,
): void {
  for (const [name, text = ''] of Object.entries(texts)) {
    const problem = oneLineProblem(text);
    if (problem !== undefined) report(invalid(`${field}.${name}`, text, problem));
  }
}

function checkDirectResponse(route: HttpRoute, field: string, report: Report): void {
  const { directResponse, rewrite } = route;
  if (!directResponse) return;
  if (rewrite) report(violates(field, 'directResponse and rewrite exclude each other'));
  const { status, body } = directResponse;
  const at = `${field}.directResponse`;
  if (status < 200 || status > 599)
    report(invalid(`${at}.status`, status, 'must be a final HTTP status, 200 to 599'));
  if (!body) return;
  if (body.string !== undefined && body.bytes !== undefined)
    report(violates(`${at}.body`, 'string and bytes exclude each other'));
  const bytes =
    Buffer.byteLength(body.string ?? '') + Buffer.from(body.bytes ?? '', 'base64').length;
  if (bytes > BODY_BYTES_MAX) report(tooLong(`${at}.body`, BODY_BYTES_MAX));
}

function checkRewrite({ rewrite }: HttpRoute, field: string, report: Report): void {
  if (!rewrite) return;
  const { uri = '', authority = '', uriRegexRewrite } = rewrite;
  const at = `${field}.rewrite`;
  if (!uri && !authority && !uriRegexRewrite)
    report(required(at, 'one of uri, authority and uriRegexRewrite'));
  checkLines({ uri, authority, substitution: uriRegexRewrite?.rewrite }, at, report);
  if (!uriRegexRewrite) return;
  if (uri) report(violates(at, 'uri and uriRegexRewrite exclude each other'));
  const { match = '', rewrite: replacement = '' } = uriRegexRewrite;
  if (!match || !replacement)
    report(required(`${at}.uriRegexRewrite`, 'match and rewrite, both of them'));
  const problem = regexProblem(match);
  if (problem !== undefined) report(invalid(`${at}.uriRegexRewrite.match`, match, problem));
}

function checkRetries({ retries }: HttpRoute, field: string, report: Report): void {
  if (!retries) return;
  const { attempts = 0, perTryTimeout, retryOn, backoff, retryRemoteLocalities } = retries;
  const at = `${field}.retries`;
  if (attempts < 0) report(invalid(`${at}.attempts`, attempts, 'must not be less than 0'));
  const isDescribed = perTryTimeout || retryOn || backoff || retryRemoteLocalities !== undefined;
  if (attempts === 0 && isDescribed)
    report(violates(at, 'attempts are 0, so say nothing else about them'));
  for (const word of (retryOn ?? '').split(',').map((part) => part.trim())) {
    if (word === '' || /^[1-5]\d\d$/.test(word) || RETRY_ON.includes(word)) continue;
    report(unsupported(`${at}.retryOn`, word, RETRY_ON));
  }
  checkDuration(perTryTimeout, `${at}.perTryTimeout`, report, { zero: true });
  checkDuration(backoff, `${at}.backoff`, report);
}

function checkShare(value: number | undefined | null, field: string, report: Report): void {
  if (value === undefined || value === null || (value >= 0 && value <= 100)) return;
  report(invalid(field, value, 'must be between 0 and 100'));
}

function checkFault({ fault }: HttpRoute, field: string, report: Report): void {
  const at = `${field}.fault`;
  if (fault && !fault.delay && !fault.abort) report(required(at, 'one of delay and abort'));
  if (fault?.delay) {
    const { fixedDelay, exponentialDelay, percent, percentage } = fault.delay;
    if (exponentialDelay !== undefined)
      report(forbidden(`${at}.delay.exponentialDelay`, 'was never built', 'use fixedDelay'));
    if (!fixedDelay) report(required(`${at}.delay.fixedDelay`));
    checkDuration(fixedDelay, `${at}.delay.fixedDelay`, report);
    checkShare(percent, `${at}.delay.percent`, report);
    checkShare(percentage?.value, `${at}.delay.percentage.value`, report);
  }
  if (!fault?.abort) return;
  const { httpStatus, grpcStatus, http2Error, percentage } = fault.abort;
  if (http2Error !== undefined) report(forbidden(`${at}.abort.http2Error`, 'was never built'));
  if (grpcStatus !== undefined && !GRPC_STATUSES.includes(grpcStatus))
    report(unsupported(`${at}.abort.grpcStatus`, grpcStatus, GRPC_STATUSES));
  checkShare(percentage?.value, `${at}.abort.percentage.value`, report);
  if (httpStatus === undefined && grpcStatus === undefined && http2Error === undefined)
    report(warning(`${at}.abort`, 'nothing is aborted', 'say httpStatus or grpcStatus'));
  if (httpStatus !== undefined && (httpStatus < 200 || httpStatus > 599))
    report(invalid(`${at}.abort.httpStatus`, httpStatus, 'must be an HTTP status'));
}

function checkMirrors(route: HttpRoute, field: string, report: Report): void {
  const { mirror, mirrors = [], mirrorPercent, mirrorPercentage } = route;
  if (mirror) checkDestination(mirror, `${field}.mirror`, report);
  if (mirror && mirrors.length > 0)
    report(violates(field, 'mirror and mirrors exclude each other'));
  checkShare(mirrorPercent, `${field}.mirrorPercent`, report);
  checkShare(mirrorPercentage?.value, `${field}.mirrorPercentage.value`, report);
  for (const [index, { destination, percentage }] of mirrors.entries()) {
    checkDestination(destination, `${field}.mirrors[${index}].destination`, report);
    checkShare(percentage?.value, `${field}.mirrors[${index}].percentage.value`, report);
  }
}

function checkCors({ corsPolicy }: HttpRoute, field: string, report: Report): void {
  const at = `${field}.corsPolicy`;
  for (const [index, { exact, prefix, regex }] of (corsPolicy?.allowOrigins ?? []).entries()) {
    if (!(exact || prefix || regex))
      report(required(`${at}.allowOrigins[${index}]`, 'one of exact, prefix and regex'));
    const problem = regex === undefined ? undefined : regexProblem(regex);
    if (problem !== undefined)
      report(invalid(`${at}.allowOrigins[${index}].regex`, regex, problem));
  }
  for (const name of ['allowHeaders', 'exposeHeaders'] as const) {
    for (const [index, header] of (corsPolicy?.[name] ?? []).entries())
      if (header === '') report(required(`${at}.${name}[${index}]`));
  }
  checkDuration(corsPolicy?.maxAge, `${at}.maxAge`, report);
  const maxAgeMs = parseDurationMs(corsPolicy?.maxAge ?? '') ?? 0;
  if (maxAgeMs % 1000 !== 0)
    report(invalid(`${at}.maxAge`, corsPolicy?.maxAge, 'must be in whole seconds'));
  for (const [index, method] of (corsPolicy?.allowMethods ?? []).entries()) {
    if (!METHODS.includes(method) && method !== '*')
      report(invalid(`${at}.allowMethods[${index}]`, method, 'must be a method of HTTP'));
  }
}
