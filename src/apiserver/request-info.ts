/**
 * What a request asks for, read off its method and path as Kubernetes does ("Request attributes").
 */
export type RequestInfo = ResourceRequest | PathRequest;

/** Verbs of the API on resources. */
export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection';

/** A request for objects. */
export interface ResourceRequest {
  readonly type: 'resource';
  /** Undefined for a method that the API has no verb for. */
  readonly verb: Verb | undefined;
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural name. */
  readonly resource: string;
  /** '' for the resource itself. */
  readonly subresource: string;
  /** '' for cluster-scoped resources and for all namespaces. */
  readonly namespace: string;
  /** '' for a collection. */
  readonly name: string;
  readonly path: string;
}

/** A request for anything else: discovery, health, documents. */
export interface PathRequest {
  readonly type: 'path';
  /** The method in lower case. */
  readonly verb: string;
  readonly path: string;
}

const VERBS_OF_ONE: Readonly<Record<string, Verb>> = {
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

const VERBS_OF_MANY: Readonly<Record<string, Verb>> = {
  GET: 'list',
  POST: 'create',
  DELETE: 'deletecollection',
};

/** Parts of a namespace that are its own, not resources in it. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

/**
 * @param path without query; percent-encoding still in place
 * @param watching whether the query says `watch=true`
 */
export function parseRequest(method: string, path: string, watching: boolean): RequestInfo {
  const other: PathRequest = { type: 'path', verb: method.toLowerCase(), path };
  const parts = decodeParts(path);
  if (!parts) return other;
  const [root, ...rest] = parts;
  if (root === 'api' && rest.length >= 2) {
    const [version = '', ...tail] = rest;
    return resourceRequest(method, { group: '', version, path }, tail, watching) ?? other;
  }
  if (root === 'apis' && rest.length >= 3) {
    const [group = '', version = '', ...tail] = rest;
    return resourceRequest(method, { group, version, path }, tail, watching) ?? other;
  }
  return other;
}

function decodeParts(path: string): string[] | undefined {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function resourceRequest(
  method: string,
  place: Pick<ResourceRequest, 'group' | 'version' | 'path'>,
  tail: readonly string[],
  watching: boolean,
): ResourceRequest | undefined {
  // The old form /api/v1/watch/… means the same as ?watch=true.
  const oldWatch = tail[0] === 'watch' && tail.length > 1;
  const { namespace, parts } = splitNamespace(oldWatch ? tail.slice(1) : tail);
  const [resource, name = '', subresource = '', ...more] = parts;
  if (resource === undefined || more.length > 0) return undefined;
  const verb = verbOf(method, { name, subresource });
  const watch = method === 'GET' && (oldWatch || (watching && name === ''));
  return {
    type: 'resource',
    verb: watch ? 'watch' : verb,
    ...place,
    resource,
    subresource,
    namespace,
    name,
  };
}

function splitNamespace(parts: readonly string[]): { namespace: string; parts: readonly string[] } {
  const [first, namespace = '', third] = parts;
  if (first !== 'namespaces' || namespace === '') return { namespace: '', parts };
  if (third === undefined || NAMESPACE_SUBRESOURCES.has(third)) return { namespace, parts };
  return { namespace, parts: parts.slice(2) };
}

function verbOf(
  method: string,
  { name, subresource }: { readonly name: string; readonly subresource: string },
): Verb | undefined {
  // `create` is also the verb for a subresource that makes something, such as a token.
  if (method === 'POST' && subresource !== '') return 'create';
  return name === '' ? VERBS_OF_MANY[method] : VERBS_OF_ONE[method];
}
