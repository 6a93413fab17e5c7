import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import type { HeaderChanges, HttpRoute } from '#api/kinds/virtual-service-route.ts';
import type { HttpFacts } from '#policy/authz/request.ts';
import { expressionOf } from '#policy/expression.ts';

/** A request as its caller's proxy has it: the target is a normalized path, with query. */
export type SentRequest = Omit<HttpFacts, 'claims'>;

/** What changes requests on one way out of a route. */
export interface RouteChanges {
  readonly route: Pick<HttpRoute, 'rewrite' | 'headers'>;
  /** The condition that was met; its path is what a rewrite replaces. */
  readonly match: HttpMatch | undefined;
  /** Of all destinations: the host is taken from the first that says one. */
  readonly places: readonly (HeaderChanges | undefined)[];
  /** Of the destination that the request goes to. */
  readonly place: HeaderChanges | undefined;
}

/** The names under which a request says its host. */
const HOST_NAMES: readonly string[] = ['host', ':authority'];

/** Whether a header is the host of the request, which is changed by a way of its own. */
export function isHostName(name: string): boolean {
  return HOST_NAMES.includes(name.toLowerCase());
}

/**
 * The host that changes of headers say: of the first place that says one; a request has only one,
 * so adding sets it. '' = none.
 */
export function changedHost(places: readonly (HeaderChanges | undefined)[]): string {
  const entries = places.flatMap((place) => {
    const { set = {}, add = {} } = place?.request ?? {};
    return [...Object.entries(set), ...Object.entries(add)];
  });
  return entries.find(([name]) => isHostName(name))?.[1] ?? '';
}

/** The request as it leaves the caller's proxy. */
export function changedRequest(request: SentRequest, changes: RouteChanges): SentRequest {
  const { route, match, places, place } = changes;
  const [path = '', ...query] = request.target.split('?');
  const target = [rewrittenPath(path, route.rewrite, match), ...query].join('?');
  const host = route.rewrite?.authority || changedHost([route.headers, ...places]) || request.host;
  const headers = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(request.headers ?? {}))
    headers.set(name.toLowerCase(), [
      ...(headers.get(name.toLowerCase()) ?? []),
      ...[value].flat(),
    ]);
  // With one destination its changes and those of the route are made at once: first all removals.
  const [only, ...more] = places;
  const steps = more.length === 0 ? [[route.headers, only]] : [[place], [route.headers]];
  for (const step of steps) applyChanges(headers, step);
  return {
    ...request,
    target,
    ...(host !== undefined && { host }),
    headers: Object.fromEntries(headers),
  };
}

function rewrittenPath(
  path: string,
  rewrite: HttpRoute['rewrite'],
  match: HttpMatch | undefined,
): string {
  const { uri = '', uriRegexRewrite } = rewrite ?? {};
  if (uriRegexRewrite) {
    const { match: pattern = '', rewrite: replacement = '' } = uriRegexRewrite;
    return path.replace(expressionOf(pattern, { isWhole: false }), (...found: string[]) =>
      replacement.replace(/\\([\d\\])/g, (_, one: string) =>
        one === '\\' ? one : (found[+one] ?? ''),
      ),
    );
  }
  if (uri === '') return path;
  const { exact, regex, prefix = '/' } = match?.uri ?? {};
  return exact !== undefined || regex !== undefined ? uri : uri + path.slice(prefix.length);
}

function applyChanges(
  headers: Map<string, readonly string[]>,
  places: readonly (HeaderChanges | undefined)[],
): void {
  const changes = places.map((place) => place?.request ?? {});
  for (const { remove = [] } of changes)
    for (const name of remove) headers.delete(name.toLowerCase());
  for (const { set = {}, add = {} } of changes) {
    const said = (values: Readonly<Record<string, string>>) =>
      Object.entries(values).filter(([name]) => !isHostName(name));
    for (const [name, value] of said(set))
      headers.set(name.toLowerCase(), [value.replaceAll('%%', '%')]);
    for (const [name, value] of said(add)) {
      const key = name.toLowerCase();
      headers.set(key, [...(headers.get(key) ?? []), value.replaceAll('%%', '%')]);
    }
  }
}
