import { GATEWAY_API } from '#api/kind.ts';
import type { HttpRouteMatch, HttpRouteObject, HttpRouteRule } from '#api/kinds/http-route.ts';
import { type VirtualService, virtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch, StringMatch } from '#api/kinds/virtual-service-match.ts';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { derivedName } from '#policy/gateway/derived-gateways.ts';

/** How a rule matches one kind of paths, and what its filters make of them. */
interface PathForm {
  readonly match: HttpMatch;
  readonly changes: Pick<HttpRoute, 'rewrite' | 'redirect'>;
}

type Filters = NonNullable<HttpRouteRule['filters']>;
type PathChange = NonNullable<NonNullable<Filters[number]['urlRewrite']>['path']>;

/** What is said where nothing can be called. */
const NO_BACKEND: HttpRoute = { directResponse: { status: 500 } };

/**
 * An HTTPRoute as the VirtualService that says the same, for the Gateways that listeners come to.
 * @param gateways `namespace/name` of those that it belongs to
 */
export function derivedRoute(
  object: HttpRouteObject,
  gateways: readonly string[],
  clusterDomain: string,
): VirtualService {
  const { name, namespace = '', creationTimestamp } = object.metadata;
  const { hostnames = [], rules = [{}] } = object.spec ?? {};
  const http = rules.flatMap((rule) => routesOf(rule, namespace, clusterDomain));
  return {
    apiVersion: virtualService.apiVersion,
    kind: virtualService.kind,
    metadata: {
      name: derivedName(name, 'route'),
      namespace,
      ...(creationTimestamp && { creationTimestamp }),
    },
    spec: { hosts: hostnames.length > 0 ? hostnames : ['*'], gateways, http },
  };
}

/** A listener that a route may belong to. */
export interface Parent {
  readonly gateway: string;
  readonly namespace: string;
  readonly listener: string;
  readonly port: number;
}

/** The listeners that a route asks for. */
export function parentsOf(
  { spec, metadata }: HttpRouteObject,
  listeners: readonly Parent[],
): readonly Parent[] {
  const own = metadata.namespace ?? '';
  const asked = (spec?.parentRefs ?? []).filter(
    ({ kind = 'Gateway', group = GATEWAY_API }) => kind === 'Gateway' && group === GATEWAY_API,
  );
  return listeners.filter((listener) =>
    asked.some(
      ({ name, namespace = own, sectionName, port }) =>
        name === listener.gateway &&
        namespace === listener.namespace &&
        (sectionName === undefined || sectionName === listener.listener) &&
        (port === undefined || port === listener.port),
    ),
  );
}

function routesOf(rule: HttpRouteRule, namespace: string, domain: string): readonly HttpRoute[] {
  const { matches = [], filters = [], timeouts, name } = rule;
  const redirects = filters.some(({ type }) => type === 'RequestRedirect');
  const common: HttpRoute = {
    ...(name && { name }),
    ...headersOf(filters),
    ...(timeouts?.request && { timeout: timeouts.request }),
  };
  const answer = redirects ? {} : backendsOf(rule, namespace, domain);
  const unique = matches.length > 0 ? matches : [{}];
  return unique.flatMap((match) =>
    pathForms(match, filters).map(({ match: path, changes }) => ({
      ...common,
      ...answer,
      ...(answer.directResponse ? {} : changes),
      match: [{ ...path, ...conditionsOf(match) }],
    })),
  );
}

/** Services by their share; what cannot be called takes its share to nowhere. */
function backendsOf(rule: HttpRouteRule, namespace: string, domain: string): HttpRoute {
  const weighted = (rule.backendRefs ?? []).map((ref) => ({ ...ref, weight: ref.weight ?? 1 }));
  const used = weighted.filter(({ weight }) => weight > 0);
  const callable = used.filter(
    ({ kind = 'Service', group = '', namespace: other = namespace, port }) =>
      kind === 'Service' && group === '' && other === namespace && port !== undefined,
  );
  if (callable.length === 0) return NO_BACKEND;
  return {
    route: used.map((ref) => ({
      destination: callable.includes(ref)
        ? {
            host: `${ref.name}.${namespace}.svc.${domain}`,
            ...(ref.port !== undefined && { port: { number: ref.port } }),
          }
        : { host: 'nowhere.invalid' },
      weight: ref.weight,
    })),
  };
}

function stringMatch(type: string | undefined, value: string): StringMatch {
  return type === 'RegularExpression' ? { regex: value } : { exact: value };
}

function conditionsOf({ headers = [], queryParams = [], method }: HttpRouteMatch): HttpMatch {
  const byName = (list: typeof headers, lower: boolean) =>
    Object.fromEntries(
      // Of several with one name the first counts.
      list
        .toReversed()
        .map(({ name, type, value }) => [
          lower ? name.toLowerCase() : name,
          stringMatch(type, value),
        ]),
    );
  return {
    ...(headers.length > 0 && { headers: byName(headers, true) }),
    ...(queryParams.length > 0 && { queryParams: byName(queryParams, false) }),
    ...(method && { method: { exact: method } }),
  };
}

/** A prefix means the path itself and what is below it: `/a` is no prefix of `/ab`. */
function pathForms({ path }: HttpRouteMatch, filters: Filters): readonly PathForm[] {
  const { type = 'PathPrefix', value = '/' } = path ?? {};
  if (type === 'Exact') return [{ match: { uri: { exact: value } }, changes: changesOf(filters) }];
  if (type === 'RegularExpression')
    return [{ match: { uri: { regex: value } }, changes: changesOf(filters) }];
  const prefix = value.replace(/\/$/, '');
  const below = { match: { uri: { prefix: `${prefix}/` } }, changes: changesOf(filters, '/') };
  if (prefix === '') return [below];
  return [{ match: { uri: { exact: prefix } }, changes: changesOf(filters, '') }, below];
}

/** `end`: what the matched prefix ends in, which stays. */
function changesOf(filters: Filters, end?: string): PathForm['changes'] {
  const { urlRewrite } = filters.find(({ type }) => type === 'URLRewrite') ?? {};
  const { requestRedirect } = filters.find(({ type }) => type === 'RequestRedirect') ?? {};
  return {
    ...(urlRewrite && { rewrite: rewriteOf(urlRewrite, end) }),
    ...(requestRedirect && { redirect: redirectOf(requestRedirect, end) }),
  };
}

function rewriteOf(
  { hostname, path }: NonNullable<Filters[number]['urlRewrite']>,
  end: string | undefined,
): NonNullable<HttpRoute['rewrite']> {
  const full = path?.type === 'ReplaceFullPath' ? (path.replaceFullPath ?? '/') : undefined;
  const prefix = replacedPrefix(path, end);
  return {
    ...(hostname && { authority: hostname }),
    ...(full && { uriRegexRewrite: { match: '^[^?#]*', rewrite: full.replaceAll('\\', '\\\\') } }),
    ...(prefix !== undefined && { uri: prefix }),
  };
}

function redirectOf(
  redirect: NonNullable<Filters[number]['requestRedirect']>,
  end: string | undefined,
): NonNullable<HttpRoute['redirect']> {
  const { scheme, hostname, path, port, statusCode = 302 } = redirect;
  const prefix = replacedPrefix(path, end);
  return {
    redirectCode: statusCode,
    ...(scheme && { scheme }),
    ...(hostname && { authority: hostname }),
    ...(port && { port }),
    ...(path?.replaceFullPath && { uri: path.replaceFullPath }),
    ...(prefix !== undefined && { prefixRewrite: prefix }),
  };
}

/** What the matched prefix becomes, when only it is replaced. */
function replacedPrefix(path: PathChange | undefined, end: string | undefined): string | undefined {
  if (path?.type !== 'ReplacePrefixMatch' || end === undefined) return undefined;
  const prefix = (path.replacePrefixMatch ?? '/').replace(/\/$/, '');
  return `${prefix}${end}` || '/';
}

function headersOf(filters: Filters): Pick<HttpRoute, 'headers'> {
  const changes = (field: 'requestHeaderModifier' | 'responseHeaderModifier') => {
    const { set = [], add = [], remove = [] } = filters.find((one) => one[field])?.[field] ?? {};
    const named = (list: typeof set) =>
      Object.fromEntries(list.map(({ name, value }) => [name, value.replaceAll('%', '%%')]));
    return { set: named(set), add: named(add), remove };
  };
  const has = (type: string): boolean => filters.some((one) => one.type === type);
  const request = has('RequestHeaderModifier') && changes('requestHeaderModifier');
  const response = has('ResponseHeaderModifier') && changes('responseHeaderModifier');
  if (!request && !response) return {};
  return { headers: { ...(request && { request }), ...(response && { response }) } };
}
