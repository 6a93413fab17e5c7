import { routingClaim } from '#api/kinds/routing-claim.ts';
import type { HttpMatch, StringMatch } from '#api/kinds/virtual-service-match.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import { expressionOf } from '#policy/expression.ts';

/** What a route of a VirtualService is chosen by. */
export interface RoutedRequest {
  /** As the caller's proxy sees the request. */
  readonly facts: Pick<AuthzFacts, 'path' | 'method' | 'host' | 'header'>;
  /** Behind the question mark; '' = none. */
  readonly query: string;
  /** `http` when left out: calls of applications reach their proxy in clear. */
  readonly scheme?: string;
  /** The payload of the token that was verified; gateways alone know it. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** Claims in tokens (`@request.auth.claims`) are known to gateways only: no request has them. */
export function isOfRequest({ headers = {}, withoutHeaders = {} }: HttpMatch): boolean {
  return ![headers, withoutHeaders].some((names) =>
    Object.keys(names).some((name) => name.startsWith('@')),
  );
}

/** Whether a request meets a condition, as Envoy compares; conditions on callers do not count. */
export function requestMatches(match: HttpMatch, request: RoutedRequest): boolean {
  const { facts, query, claims = {} } = request;
  const { uri, ignoreUriCase, scheme, method, authority } = match;
  if (!pathMatches(uri, ignoreUriCase === true, facts.path)) return false;
  const ofLine = [
    [scheme, request.scheme ?? 'http'],
    [method, facts.method],
    [authority, facts.host],
  ] as const;
  if (!ofLine.every(([wanted, text]) => wanted === undefined || textHolds(wanted, text)))
    return false;
  const parameters = new Map(
    query
      .split('&')
      .map((part): [string, string] => {
        const [name = '', ...value] = part.split('=');
        return [name, value.join('=')];
      })
      .reverse(),
  );
  // Several values of a header are one text.
  const textOf = (name: string): string | undefined => {
    const values = facts.header(name);
    return values.length === 0 ? undefined : values.join(',');
  };
  const has = (name: string, wanted: StringMatch): boolean =>
    name.startsWith('@') ? claimHolds(name, wanted, claims) : textHolds(wanted, textOf(name));
  const lacks = (name: string, wanted: StringMatch): boolean =>
    name.startsWith('@') ? !claimHolds(name, wanted, claims) : !isExcluded(wanted, textOf(name));
  return (
    everyOf(match.headers, has) &&
    everyOf(match.withoutHeaders, lacks) &&
    everyOf(match.queryParams, (name, wanted) => textHolds(wanted, parameters.get(name)))
  );
}

function everyOf(
  wanted: Readonly<Record<string, StringMatch>> | undefined,
  holds: (name: string, match: StringMatch) => boolean,
): boolean {
  return Object.entries(wanted ?? {}).every(([name, match]) => holds(name, match));
}

function pathMatches(uri: StringMatch | undefined, ignoresCase: boolean, path: string): boolean {
  const { exact, prefix = '/', regex } = uri ?? {};
  const cased = (text: string): string => (ignoresCase ? text.toLowerCase() : text);
  if (exact !== undefined) return cased(path) === cased(exact);
  if (regex !== undefined) return expressionOf(regex, { isWhole: true }).test(path);
  return cased(path).startsWith(cased(prefix));
}

/** A claim that is a text, or a list with such a text; other values do not count. */
function claimHolds(
  name: string,
  wanted: StringMatch,
  claims: Readonly<Record<string, unknown>>,
): boolean {
  let value: unknown = claims;
  for (const key of routingClaim(name) ?? [name]) {
    const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    value = isObject ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  }
  return [value].flat().some((one) => typeof one === 'string' && textHolds(wanted, one));
}

/** Whether a condition is met by being there. */
function asksForPresence({ exact, prefix, regex }: StringMatch): boolean {
  return exact === undefined && !prefix && (regex === undefined || regex === '*');
}

/** Whether a text that is there, or not, meets a condition. */
export function textHolds(match: StringMatch, text: string | undefined): boolean {
  if (text === undefined) return false;
  if (asksForPresence(match)) return true;
  const { exact, prefix, regex = '' } = match;
  if (exact !== undefined) return text === exact;
  return prefix ? text.startsWith(prefix) : expressionOf(regex, { isWhole: true }).test(text);
}

/** A header that is not there counts as an empty one, unless it is asked for by its presence. */
function isExcluded(match: StringMatch, text: string | undefined): boolean {
  return textHolds(match, asksForPresence(match) ? text : (text ?? ''));
}
