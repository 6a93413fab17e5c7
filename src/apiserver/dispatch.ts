import { type AccessReviewDeps, reviewAccess, reviewRules } from '#apiserver/access-reviews.ts';
import type { Caller } from '#apiserver/authorize.ts';
import { createObject } from '#apiserver/create.ts';
import type { Documents } from '#apiserver/documents.ts';
import { type HealthCheck, healthAnswer } from '#apiserver/health.ts';
import { issuerAnswer } from '#apiserver/issuer-documents.ts';
import { patchObject } from '#apiserver/patch-object.ts';
import { type Answer, jsonAnswer, textAnswer } from '#apiserver/present.ts';
import { getObject, listObjects } from '#apiserver/read.ts';
import { deleteObject, deleteObjects } from '#apiserver/remove.ts';
import type { PathRequest, ResourceRequest, Verb } from '#apiserver/request-info.ts';
import type { ApiRequest, ResourceContext, ResourceDeps } from '#apiserver/resource-context.ts';
import { type ReviewDeps, requestToken, reviewSelf, reviewToken } from '#apiserver/reviews.ts';
import {
  AUTHENTICATION_GROUP,
  findServed,
  SERVED_GROUPS,
  type ServedResource,
} from '#apiserver/served-resources.ts';
import { badRequest, methodNotAllowed, unknownResource } from '#apiserver/status.ts';
import { storeFailure } from '#apiserver/store-failure.ts';
import { updateObject } from '#apiserver/update.ts';
import { versionInfo } from '#apiserver/version.ts';
import { type WatchRun, watchObjects } from '#apiserver/watch.ts';

/** Documents beside the Kubernetes API, by path; each is made anew for each request. */
export type Views = Readonly<Record<string, (query: URLSearchParams) => unknown>>;

/** What an action came to. */
export interface ActionOutcome {
  /** HTTP status. */
  readonly code: number;
  readonly body: unknown;
}

/** Commands beside the Kubernetes API, by path: `POST` with a JSON body, by somebody who may. */
export type Actions = Readonly<
  Record<string, (body: unknown, caller: Caller) => Promise<ActionOutcome>>
>;

export interface DispatchDeps extends ResourceDeps, ReviewDeps, AccessReviewDeps {
  readonly views: Views;
  readonly actions: Actions;
  readonly documents: Documents;
  /** Host and port of the server. */
  readonly address: () => string;
  readonly healthChecks: readonly HealthCheck[];
}

/** An answer at once, or a watch that goes on. */
export type Outcome = Answer | WatchRun;

type Handler = (context: ResourceContext) => Promise<Outcome>;

const HANDLERS: Readonly<Record<Verb, Handler>> = {
  get: getObject,
  list: listObjects,
  watch: watchObjects,
  create: createObject,
  update: updateObject,
  patch: patchObject,
  delete: deleteObject,
  deletecollection: deleteObjects,
};

/**
 * Has an admitted request answered.
 * @throws ApiError the refusal to send
 */
export async function dispatch(request: ApiRequest, deps: DispatchDeps): Promise<Outcome> {
  const { info } = request;
  try {
    if (info.type === 'resource') return await dispatchResource(request, info, deps);
    return await dispatchPath(request, info, deps);
  } catch (error) {
    throw storeFailure(error);
  }
}

async function dispatchResource(
  request: ApiRequest,
  info: ResourceRequest,
  deps: DispatchDeps,
): Promise<Outcome> {
  const { group, version, resource, verb } = info;
  const served = findServed(group, version, resource);
  if (!served) {
    // An unknown group is an unknown path to a Kubernetes server, not an unknown resource.
    if (SERVED_GROUPS.some(({ name }) => name === group)) throw unknownResource();
    return textAnswer(404, '404 page not found\n');
  }
  if (verb === undefined) throw methodNotAllowed();
  checkServed(served, info, verb);
  if (served.definition === undefined) return dispatchReview(request, info, served, deps);
  if (info.subresource === 'token') {
    const { namespace, name } = info;
    return requestToken(request, { namespace, name }, deps);
  }
  const context = { request, info, kind: served.definition, deps };
  return HANDLERS[verb](context);
}

/** @throws ApiError 404 or 405 */
function checkServed(served: ServedResource, info: ResourceRequest, verb: Verb): void {
  const { subresource, namespace, name } = info;
  if (subresource !== '') {
    const part = served.subresources.find((one) => one.name === subresource);
    if (!part) throw unknownResource();
    if (!part.verbs.includes(verb)) throw methodNotAllowed();
  } else if (!served.verbs.includes(verb)) throw methodNotAllowed();
  // A namespaced object has no path outside its namespace, and a cluster-scoped one none within.
  if (served.namespaced && namespace === '' && name !== '') throw unknownResource();
  // A namespace is in itself alone: whoever may do everything in one has no right to another.
  const isItself = served.name === 'namespaces' && name === namespace;
  if (!served.namespaced && namespace !== '' && !isItself) throw unknownResource();
}

async function dispatchReview(
  request: ApiRequest,
  info: ResourceRequest,
  { group, kind }: ServedResource,
  deps: DispatchDeps,
): Promise<Answer> {
  if (group === AUTHENTICATION_GROUP) {
    return kind === 'TokenReview' ? reviewToken(request, deps) : reviewSelf(request, deps);
  }
  if (kind === 'SelfSubjectRulesReview') return reviewRules(request, deps);
  return reviewAccess(request, { kind, info }, deps);
}

async function dispatchPath(
  request: ApiRequest,
  { path }: PathRequest,
  deps: DispatchDeps,
): Promise<Answer> {
  const action = Object.hasOwn(deps.actions, path) ? deps.actions[path] : undefined;
  if (action && request.method === 'POST') {
    const { code, body } = await action(jsonBody(request), request.caller);
    return jsonAnswer(body, { code });
  }
  const known = await pathAnswer(request, path, deps);
  if (!known) return textAnswer(404, '404 page not found\n');
  if (request.method !== 'GET') throw methodNotAllowed();
  return known;
}

function jsonBody({ body }: ApiRequest): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw badRequest('the body is no JSON');
  }
}

async function pathAnswer(
  request: ApiRequest,
  path: string,
  { documents, healthChecks, views, tokens, address }: DispatchDeps,
): Promise<Answer | undefined> {
  const view = Object.hasOwn(views, path) ? views[path] : undefined;
  if (view) return jsonAnswer(await view(request.query));
  if (path === '/version') return jsonAnswer(versionInfo());
  if (path === '/') return jsonAnswer({ paths: [...rootPaths()] });
  return (
    (await healthAnswer(request, healthChecks)) ??
    issuerAnswer(request, { tokens, address: address() }) ??
    documents.answer(request)
  );
}

function rootPaths(): string[] {
  const groups = SERVED_GROUPS.flatMap(({ name, versions }) =>
    name === ''
      ? ['/api', ...versions.map((version) => `/api/${version}`)]
      : [`/apis/${name}`, ...versions.map((version) => `/apis/${name}/${version}`)],
  );
  return [
    ...groups,
    '/apis',
    '/healthz',
    '/livez',
    '/openapi/v2',
    '/openapi/v3',
    '/readyz',
    '/version',
  ].sort();
}
