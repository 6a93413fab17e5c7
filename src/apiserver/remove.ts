import type { ApiObject } from '#api/object.ts';
import { decodeBody } from '#apiserver/body.ts';
import { markDeleted } from '#apiserver/namespace-content.ts';
import { type Answer, jsonAnswer } from '#apiserver/present.ts';
import { type DeleteOptions, deleteOptions, listOptions } from '#apiserver/query.ts';
import { filterOf } from '#apiserver/read.ts';
import { keyOf, presenterFor, type ResourceContext } from '#apiserver/resource-context.ts';
import {
  ApiError,
  conflict,
  forbidden,
  methodNotAllowed,
  notFound,
  type Resource,
  success,
} from '#apiserver/status.ts';
import { isBulwarkError } from '#base/errors.ts';

/** Kubernetes' own namespaces stay. */
const PROTECTED_NAMESPACES = new Set(['default', 'kube-system', 'kube-public']);
/** Kinds whose deletion is answered with the object (Kubernetes has it so for these). */
const ANSWERED_WITH_OBJECT = new Set(['serviceaccounts', 'services']);
/** Who writes at the same time can make a try fail; one of them always succeeds. */
const ATTEMPTS_MAX = 20;
/** Deletions under way at one time when a whole collection goes. */
const PARALLEL_MAX = 256;

/** DELETE of one object. @throws ApiError */
export async function deleteObject(context: ResourceContext): Promise<Answer> {
  const presenter = presenterFor(context);
  const options = readOptions(context);
  const { kind } = context;
  const outcome = await remove(context, keyOf(context).name, options);
  if (!outcome.gone || ANSWERED_WITH_OBJECT.has(kind.id)) return presenter.answer(outcome.object);
  const { name, uid = '' } = outcome.object.metadata;
  const group = kind.group === '' ? {} : { group: kind.group };
  return jsonAnswer(success({ name, ...group, kind: kind.plural, uid }));
}

/**
 * DELETE of a collection, or of what selectors mean in it; answers what it held. @throws ApiError
 */
export async function deleteObjects(context: ResourceContext): Promise<Answer> {
  const { kind, info, deps, request } = context;
  if (!kind.namespaced || info.namespace === '') throw methodNotAllowed();
  const presenter = presenterFor(context, { list: true });
  const options = readOptions(context);
  const filter = filterOf(context, listOptions(request.query, false));
  const { items, resourceVersion } = await deps.store.list(kind.id, { namespace: info.namespace });
  const meant = filter ? items.filter(filter) : items;
  for (let start = 0; start < meant.length; start += PARALLEL_MAX) {
    const some = meant.slice(start, start + PARALLEL_MAX);
    await Promise.all(some.map((object) => removeIfThere(context, object, options)));
  }
  return presenter.listAnswer(meant, { resourceVersion });
}

async function removeIfThere(
  context: ResourceContext,
  object: ApiObject,
  options: DeleteOptions,
): Promise<void> {
  try {
    await remove(context, object.metadata.name, options);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.body.code === 404;
}

function readOptions({ request, kind }: ResourceContext): DeleteOptions {
  const { body, headers, query } = request;
  if (body.length === 0) return deleteOptions(query, undefined);
  return deleteOptions(query, decodeBody(body, headers['content-type'], kind.kind).object);
}

interface Removal {
  readonly object: ApiObject;
  /** False when finalizers hold it, or the content of a namespace. */
  readonly gone: boolean;
}

async function remove(
  context: ResourceContext,
  name: string,
  options: DeleteOptions,
): Promise<Removal> {
  const { kind, deps } = context;
  const resource: Resource = { group: kind.group, name: kind.plural };
  if (kind.id === 'namespaces' && PROTECTED_NAMESPACES.has(name)) {
    throw forbidden(resource, name, 'this namespace may not be deleted');
  }
  const key = { ...keyOf(context), name };
  for (let attempt = 1; ; attempt += 1) {
    const current = await deps.store.get(key);
    if (!current) throw notFound(resource, name);
    checkPreconditions({ group: kind.group, name: kind.kind }, current, options);
    try {
      return await removePresent(context, current, options.dryRun);
    } catch (error) {
      if (isBulwarkError(error, 'API_CONFLICT') && attempt < ATTEMPTS_MAX) continue;
      throw error;
    }
  }
}

/** Removes the object as it is now, or marks it; a race is an API_CONFLICT. */
async function removePresent(
  context: ResourceContext,
  current: ApiObject,
  dryRun: boolean,
): Promise<Removal> {
  const removal = await removeOrMark(context, current, dryRun);
  const wasMarked = current.metadata.deletionTimestamp !== undefined;
  const { caller } = context.request;
  if (!dryRun && !wasMarked) context.deps.onChange?.({ caller, verb: 'delete', before: current });
  return removal;
}

async function removeOrMark(
  { kind, deps }: ResourceContext,
  current: ApiObject,
  dryRun: boolean,
): Promise<Removal> {
  const { name, namespace = '', uid = '', resourceVersion = '' } = current.metadata;
  const { finalizers = [], deletionTimestamp } = current.metadata;
  const isNamespace = kind.id === 'namespaces';
  if (finalizers.length === 0 && !isNamespace) {
    const key = { kind: kind.id, namespace, name };
    if (!dryRun) await deps.store.delete(key, { uid, resourceVersion });
    return { object: current, gone: true };
  }
  if (deletionTimestamp !== undefined) return { object: current, gone: false };
  const marked = markDeleted(current, deps.clock.now());
  if (dryRun) return { object: marked, gone: false };
  if (!isNamespace) return { object: await deps.store.update(marked), gone: false };
  return { object: await terminate(deps.store, marked), gone: false };
}

/** From here on nothing new comes into the namespace; its life deletes what is in it. */
async function terminate(
  store: ResourceContext['deps']['store'],
  marked: ApiObject,
): Promise<ApiObject> {
  const { deletionGracePeriodSeconds: _, ...metadata } = marked.metadata;
  const stored = await store.update({ ...marked, metadata });
  const { status, ...rest } = stored as ApiObject & { readonly status?: object };
  const { resourceVersion: _v, ...unversioned } = rest.metadata;
  const terminating = {
    ...rest,
    metadata: unversioned,
    status: { ...status, phase: 'Terminating' },
  };
  try {
    return await store.updateStatus(terminating);
  } catch (error) {
    // An empty namespace may be gone before its phase is told.
    if (isBulwarkError(error, 'API_NOT_FOUND'))
      return { ...terminating, metadata: stored.metadata };
    throw error;
  }
}

/** @throws ApiError 409 */
function checkPreconditions(
  kind: Resource,
  { metadata }: ApiObject,
  { uid, resourceVersion }: DeleteOptions,
): void {
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw conflict(kind, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw conflict(kind, metadata.name, why);
  }
}
