import { checkDuration } from '#api/duration.ts';
import { forbidden, invalid, required, violates } from '#api/field-error.ts';
import { isHostLabel } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkPort } from '#api/kinds/endpoint-rules.ts';
import { checkGatewayNames } from '#api/kinds/gateway-names.ts';
import { routingClaim } from '#api/kinds/routing-claim.ts';
import { checkDestination, checkWeights } from '#api/kinds/virtual-service-destination-rules.ts';
import { checkFeatures } from '#api/kinds/virtual-service-feature-rules.ts';
import type { HttpMatch, StringMatch } from '#api/kinds/virtual-service-match.ts';
import type { HeaderChanges, HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { checkLabels } from '#api/metadata.ts';
import { oneLineProblem } from '#api/one-line.ts';
import { regexProblem } from '#api/regex.ts';

/** What answers a request: exactly one of these. */
const ANSWERS = ['route', 'redirect', 'directResponse', 'delegate'] as const;
/** A header name (RFC 9110 token), or one of HTTP/2's own. */
const HEADER_NAME = /^:?[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
/** `%NAME%` and `%NAME(argument)%` stand for values of the request, `%%` for a per cent sign. */
const SUBSTITUTION = /%%|%[A-Z0-9_]+(\([^%]*\))?(:\d+)?%/g;

/** Names under which a request says its host. */
const HOST_NAMES: readonly string[] = ['host', ':authority'];

/** Whether a name stands for a part of the request line or for the host. */
function isOfRequestLine(name: string): boolean {
  return name.startsWith(':') || name.toLowerCase() === 'host';
}

/** Reports what is wrong with a route. */
export function checkHttpRoute(
  route: HttpRoute,
  field: string,
  { isDelegate, isForMesh }: { readonly isDelegate: boolean; readonly isForMesh: boolean },
  report: Report,
): void {
  const { match = [], route: destinations = [], headers } = route;
  const answers = ANSWERS.filter((name) =>
    name === 'route' ? destinations.length > 0 : route[name] !== undefined,
  );
  if (answers.length === 0) report(required(field, 'one of route, redirect and directResponse'));
  if (answers.length > 1) report(violates(field, `${answers.join(' and ')} exclude each other`));
  if (isDelegate && route.delegate !== undefined)
    report(forbidden(`${field}.delegate`, 'what is delegated to cannot delegate again'));
  for (const [index, one] of match.entries())
    checkMatch(one, `${field}.match[${index}]`, isForMesh, report);
  for (const [index, { destination, headers: changes }] of destinations.entries()) {
    checkDestination(destination, `${field}.route[${index}].destination`, report);
    checkHeaders(changes, `${field}.route[${index}].headers`, report);
  }
  checkWeights(destinations, `${field}.route`, report);
  checkHeaders(headers, `${field}.headers`, report);
  checkAuthority(route, field, report);
  checkDuration(route.timeout, `${field}.timeout`, report, { zero: true });
  checkFeatures(route, field, report);
}

function checkMatch(match: HttpMatch, field: string, isForMesh: boolean, report: Report): void {
  const { uri, scheme, method, authority, port, sourceLabels = {}, sourceNamespace } = match;
  for (const [name, value] of Object.entries({ uri, scheme, method, authority })) {
    if (value === undefined) continue;
    checkString(value, `${field}.${name}`, report);
    if (value.prefix === '') report(required(`${field}.${name}.prefix`));
  }
  for (const part of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    for (const [name, value] of Object.entries(match[part] ?? {})) {
      if (name === '') report(invalid(`${field}.${part}`, name, 'must have a name'));
      // As Istio has it, `*` stands here for any value and is no expression.
      if (part === 'withoutHeaders' && value.regex === '*') continue;
      checkString(value, `${field}.${part}[${name}]`, report);
    }
  }
  for (const name of Object.keys({ ...match.headers, ...match.withoutHeaders })) {
    if (name.startsWith('@') && isForMesh)
      report(forbidden(`${field}.headers[${name}]`, 'claims decide about routes at gateways only'));
    else if (name.startsWith('@') && routingClaim(name) === undefined)
      report(
        invalid(`${field}.headers`, name, 'must be @request.auth.claims and the name of a claim'),
      );
    else if (name !== '' && !name.startsWith('@') && !HEADER_NAME.test(name))
      report(invalid(`${field}.headers`, name, 'must be the name of a header'));
  }
  if (port !== undefined && port !== 0) checkPort(port, `${field}.port`, report);
  checkLabels(sourceLabels, `${field}.sourceLabels`, report);
  checkGatewayNames(match.gateways ?? [], `${field}.gateways`, report);
  if (sourceNamespace && !isHostLabel(sourceNamespace))
    report(invalid(`${field}.sourceNamespace`, sourceNamespace, 'must be a namespace'));
}

function checkString(match: StringMatch, field: string, report: Report): void {
  const given = (['exact', 'prefix', 'regex'] as const).filter((name) => match[name] !== undefined);
  if (given.length > 1) report(violates(field, `${given.join(' and ')} exclude each other`));
  if (match.regex === undefined) return;
  if (match.regex === '') report(required(`${field}.regex`));
  const problem = regexProblem(match.regex);
  if (problem !== undefined) report(invalid(`${field}.regex`, match.regex, problem));
}

/** Reports that more than one part of a route says the host. */
function checkAuthority({ rewrite, headers }: HttpRoute, field: string, report: Report): void {
  const { set = {}, add = {} } = headers?.request ?? {};
  const names = [...Object.keys(set), ...Object.keys(add)].map((name) => name.toLowerCase());
  const said = [...names.filter((name) => HOST_NAMES.includes(name)), rewrite?.authority];
  if (said.filter(Boolean).length > 1)
    report(violates(field, 'the host cannot be set more than once'));
}

function checkHeaders(headers: HeaderChanges | undefined, field: string, report: Report): void {
  for (const direction of ['request', 'response'] as const) {
    const { set = {}, add = {}, remove = [] } = headers?.[direction] ?? {};
    const at = `${field}.${direction}`;
    for (const name of [...Object.keys(set), ...Object.keys(add), ...remove]) {
      if (!HEADER_NAME.test(name)) report(invalid(at, name, 'must be the name of a header'));
    }
    const written = [...Object.keys(set), ...Object.keys(add)];
    const kept = direction === 'request' ? remove : [...written, ...remove];
    for (const name of kept) {
      if (isOfRequestLine(name)) report(forbidden(at, `${name} cannot be added or removed`));
    }
    for (const name of direction === 'request' ? written : []) {
      if (isOfRequestLine(name) && !HOST_NAMES.includes(name.toLowerCase()))
        report(forbidden(at, `${name} cannot be set`, 'use rewrite'));
    }
    for (const [name, value] of [...Object.entries(set), ...Object.entries(add)]) {
      const problem = oneLineProblem(value);
      if (problem !== undefined) report(invalid(`${at}[${name}]`, value, problem));
      if (!value.replaceAll(SUBSTITUTION, '').includes('%')) continue;
      const detail = 'a per cent sign is written %%; %NAME% stands for a value of the request';
      report(invalid(`${at}[${name}]`, value, detail));
    }
  }
}
