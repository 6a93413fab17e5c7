import { checkDuration } from '#api/duration.ts';
import { forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import { GATEWAY_API, type Report } from '#api/kind.ts';
import { checkHostname } from '#api/kinds/gateway-api.ts';
import type { HttpRouteMatch, HttpRouteObject, HttpRouteRule } from '#api/kinds/http-route.ts';
import { regexProblem } from '#api/regex.ts';

/** Filters that are acted on. What a route asks for must not be left out without a word. */
const FILTERS: readonly string[] = [
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestRedirect',
  'URLRewrite',
];
/** Paths in which no part is ambiguous. */
const WELL_FORMED = /^\/(?!.*(\/\/|\/\.\/|\/\.\.\/|%2[fF]|#))(?!.*\/\.{1,2}$)/;

/** Rules of an HTTPRoute beyond its schema. */
export function checkHttpRouteKind({ spec = {}, metadata }: HttpRouteObject, report: Report): void {
  for (const [index, { kind = 'Gateway', group = GATEWAY_API }] of (
    spec.parentRefs ?? []
  ).entries()) {
    if (kind !== 'Gateway' || group !== GATEWAY_API)
      report(warning(`spec.parentRefs[${index}]`, 'routes belong to Gateways only'));
  }
  for (const [index, hostname] of (spec.hostnames ?? []).entries())
    checkHostname(hostname, `spec.hostnames[${index}]`, report);
  for (const [index, rule] of (spec.rules ?? []).entries())
    checkRule(rule, `spec.rules[${index}]`, metadata.namespace ?? '', report);
}

function checkRule(rule: HttpRouteRule, field: string, own: string, report: Report): void {
  const { matches = [], filters = [], backendRefs = [], timeouts } = rule;
  for (const [index, match] of matches.entries())
    checkMatch(match, `${field}.matches[${index}]`, report);
  const types = filters.map(({ type }) => type);
  for (const [index, type] of types.entries()) {
    const at = `${field}.filters[${index}]`;
    if (!FILTERS.includes(type)) report(forbidden(`${at}.type`, `${type} is not supported`));
    else if (types.indexOf(type) !== index) report(invalid(`${at}.type`, type, 'is there twice'));
  }
  if (types.includes('RequestRedirect') && (backendRefs.length > 0 || types.includes('URLRewrite')))
    report(violates(field, 'RequestRedirect goes with neither backendRefs nor URLRewrite'));
  for (const [
    index,
    { kind = 'Service', group = '', port, namespace, filters: own2 },
  ] of backendRefs.entries()) {
    const at = `${field}.backendRefs[${index}]`;
    if (kind !== 'Service' || group !== '')
      report(warning(at, 'only Services are called: requests for anything else are answered 500'));
    else if (port === undefined) report(required(`${at}.port`, 'a Service needs a port'));
    if (namespace && namespace !== own)
      report(
        warning(`${at}.namespace`, 'services of other namespaces are not called: answered 500'),
      );
    if (own2?.length) report(forbidden(`${at}.filters`, 'filters of a backend are not supported'));
  }
  checkDuration(timeouts?.request, `${field}.timeouts.request`, report, { zero: true });
  checkDuration(timeouts?.backendRequest, `${field}.timeouts.backendRequest`, report, {
    zero: true,
  });
}

function checkMatch(match: HttpRouteMatch, field: string, report: Report): void {
  const { path: { type = 'PathPrefix', value = '/' } = {}, headers = [], queryParams = [] } = match;
  if (type === 'RegularExpression') checkRegex(value, `${field}.path.value`, report);
  else if (!WELL_FORMED.test(value)) {
    const detail = 'must begin with / and have no empty, dotted or escaped parts';
    report(invalid(`${field}.path.value`, value, detail));
  }
  for (const [name, list] of Object.entries({ headers, queryParams })) {
    for (const [index, one] of list.entries()) {
      if (one.type === 'RegularExpression')
        checkRegex(one.value, `${field}.${name}[${index}].value`, report);
    }
  }
}

function checkRegex(value: string, field: string, report: Report): void {
  const problem = regexProblem(value);
  if (problem !== undefined) report(invalid(field, value, problem));
}
