import type { SimulatedCall } from './call.ts';
import type {
  Route,
  RouteConfiguration,
  RouteMatch,
  StringMatcher,
  VirtualHost,
} from './envoy-json.ts';

/**
 * The virtual host of a request: a whole domain, then the longest `*.x`, then the longest `x.*`,
 * then `*` (VirtualHost.domains).
 */
export function matchVirtualHost(
  { virtual_hosts: hosts = [] }: RouteConfiguration,
  host: string,
): VirtualHost | undefined {
  const asked = host.toLowerCase();
  const rated = hosts.flatMap((one) =>
    one.domains.map((domain) => [one, rateDomain(domain.toLowerCase(), asked)] as const),
  );
  const best = Math.max(...rated.map(([, rate]) => rate));
  return best < 0 ? undefined : rated.find(([, rate]) => rate === best)?.[0];
}

/** No name is as long as the distance between two ranks. */
const RANK = 100_000;

function rateDomain(domain: string, asked: string): number {
  if (domain === asked) return 3 * RANK;
  if (domain === '*') return 0;
  const { length } = domain;
  const isLonger = asked.length >= length;
  if (domain.startsWith('*')) {
    return isLonger && asked.endsWith(domain.slice(1)) ? 2 * RANK + length : -1;
  }
  if (domain.endsWith('*')) {
    return isLonger && asked.startsWith(domain.slice(0, -1)) ? RANK + length : -1;
  }
  return -1;
}

/** The first route that takes a request. */
export function matchRoute({ routes = [] }: VirtualHost, call: SimulatedCall): Route | undefined {
  return routes.find(({ match }) => pathMatches(match, call.path) && headersMatch(match, call));
}

function pathMatches(match: RouteMatch, whole: string): boolean {
  const { case_sensitive: sensitive = true } = match;
  const fold = (text: string): string => (sensitive ? text : text.toLowerCase());
  const path = fold(whole.replace(/[?#].*$/, ''));
  const { prefix, path: exact, path_separated_prefix: separated, safe_regex: regex } = match;
  if (exact !== undefined) return path === fold(exact);
  if (separated !== undefined) {
    return path === fold(separated) || path.startsWith(`${fold(separated)}/`);
  }
  if (regex !== undefined) return new RegExp(`^(?:${regex.regex})$`).test(path);
  return path.startsWith(fold(prefix ?? ''));
}

function headersMatch({ headers = [] }: RouteMatch, call: SimulatedCall): boolean {
  return headers.every((header) => {
    const value = headerOf(header.name, call) ?? (header.treat_missing_header_as_empty ? '' : null);
    const { string_match: text, invert_match: inverted = false } = header;
    // Without a value only a test of presence can hold, inverted or not.
    if (value === null) return text === undefined && (header.present_match === false) !== inverted;
    const holds = text === undefined ? header.present_match !== false : textMatches(text, value);
    return holds !== inverted;
  });
}

function headerOf(name: string, { headers, host, path }: SimulatedCall): string | undefined {
  const own = { ':authority': host, ':path': path, ':method': 'GET', host };
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found?.[1].join(',') ?? (own as Record<string, string | undefined>)[name.toLowerCase()];
}

function textMatches(match: StringMatcher, value: string): boolean {
  const fold = (text: string): string => (match.ignore_case ? text.toLowerCase() : text);
  const { exact, prefix, suffix, contains, safe_regex: regex } = match;
  if (exact !== undefined) return fold(value) === fold(exact);
  if (prefix !== undefined) return fold(value).startsWith(fold(prefix));
  if (suffix !== undefined) return fold(value).endsWith(fold(suffix));
  if (contains !== undefined) return fold(value).includes(fold(contains));
  return regex !== undefined && new RegExp(`^(?:${regex.regex})$`).test(value);
}
