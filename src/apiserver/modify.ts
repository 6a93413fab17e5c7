import { forbidden } from '#api/field-error.ts';
import type { ApiObject } from '#api/object.ts';
import { validateChange } from '#api/validate.ts';
import { type AdmitOptions, type Admitted, admit } from '#apiserver/admit.ts';
import { prepareUpdate } from '#apiserver/kind-strategies.ts';
import type { JsonObject } from '#apiserver/patch/json-value.ts';
import type { Answer } from '#apiserver/present.ts';
import type { WriteOptions } from '#apiserver/query.ts';
import { keyOf, presenterFor, type ResourceContext } from '#apiserver/resource-context.ts';
import { badRequest, conflict, invalid, notFound, type Resource } from '#apiserver/status.ts';
import { MODIFIED } from '#apiserver/store-failure.ts';
import { warningHeaders } from '#apiserver/warnings.ts';
import { isBulwarkError } from '#base/errors.ts';
import { nextRevision, nextStatus } from '#store/revise.ts';

/** What the object is to become, made from what it is now. */
export interface Proposal {
  readonly candidate: JsonObject;
  readonly duplicates: readonly string[];
  readonly strictError: AdmitOptions['strictError'];
  /** Whether the client said which version its change is for; then a race is its to resolve. */
  readonly versioned: boolean;
}

/** Clients take turns, so only the server's own controllers can be faster. */
const ATTEMPTS_MAX = 20;

/**
 * Changes one object: proposes from the present state, checks, and writes only if that state is
 * still the present one; else, unless the client insists on a version, again from the new state.
 * @throws ApiError
 */
export async function modifyObject(
  context: ResourceContext,
  options: WriteOptions,
  propose: (current: ApiObject) => Proposal,
): Promise<Answer> {
  const presenter = presenterFor(context);
  const { kind, namespace, name } = keyOf(context);
  const turn = [kind, namespace, name].join('/');
  const { stored, warnings } = await context.deps.turns.take(turn, () =>
    modifyInTurn(context, options, propose),
  );
  return presenter.answer(stored, { headers: warningHeaders(warnings) });
}

interface Modified {
  readonly stored: ApiObject;
  readonly warnings: readonly string[];
}

async function modifyInTurn(
  context: ResourceContext,
  options: WriteOptions,
  propose: (current: ApiObject) => Proposal,
): Promise<Modified> {
  const { kind, deps } = context;
  const key = keyOf(context);
  const resource: Resource = { group: kind.group, name: kind.plural };
  for (let attempt = 1; ; attempt += 1) {
    const current = await deps.store.get(key);
    if (!current) throw notFound(resource, key.name);
    const proposal = propose(current);
    checkIdentity(context, proposal.candidate);
    const { object, warnings } = admitted(context, options, proposal);
    checkVersion(resource, current, object);
    try {
      const stored = await write(context, { current, object, dryRun: options.dryRun });
      return { stored, warnings };
    } catch (error) {
      const raced = isBulwarkError(error, 'API_CONFLICT');
      if (raced && !proposal.versioned && attempt < ATTEMPTS_MAX) continue;
      throw raced ? conflict(resource, key.name, MODIFIED) : error;
    }
  }
}

function admitted(
  { kind, info, deps }: ResourceContext,
  { fieldValidation }: WriteOptions,
  { candidate, duplicates, strictError }: Proposal,
): Admitted {
  const { version } = info;
  const { check } = deps;
  return admit(candidate, { kind, version, fieldValidation, duplicates, check, strictError });
}

/** @throws ApiError 400 when the body is about another object than the path */
function checkIdentity({ info, kind }: ResourceContext, candidate: JsonObject): void {
  const { name, namespace } = (candidate.metadata ?? {}) as JsonObject;
  if ((name ?? '') !== info.name) {
    throw badRequest(
      `the name of the object (${String(name ?? '')}) does not match the name on the URL (${info.name})`,
    );
  }
  if (kind.namespaced && (namespace ?? '') !== info.namespace) {
    throw badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
}

/** @throws ApiError 409 when the client means another version or another object of the same name */
function checkVersion(resource: Resource, current: ApiObject, object: ApiObject): void {
  const { name, uid, resourceVersion } = object.metadata;
  const present = current.metadata;
  if (resourceVersion && resourceVersion !== present.resourceVersion) {
    throw conflict(resource, name, MODIFIED);
  }
  if (uid && uid !== present.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${present.uid}`;
    throw conflict(resource, name, why);
  }
}

interface Change {
  readonly current: ApiObject;
  readonly object: ApiObject;
  readonly dryRun: boolean;
}

async function write(context: ResourceContext, change: Change): Promise<ApiObject> {
  const { info, deps } = context;
  const { current, dryRun } = change;
  if (info.subresource === 'status') return writeStatus(context, change);
  const withMeta = withServerMeta(change.object, current);
  checkFinalizers(context, current, withMeta);
  const { object, undo } = prepareUpdate(context.kind, withMeta, current, deps.clusterIps);
  try {
    checkChange(context, current, object);
    const { kind, request } = context;
    deps.guard.check({ caller: request.caller, kind, object, current });
    if (isFinished(object)) return await finishDeletion(context, object, dryRun);
    if (!dryRun) return await writeChange(context, current, object);
    const { resourceVersion = '' } = current.metadata;
    undo();
    return nextRevision(context.kind, current, object, resourceVersion);
  } catch (error) {
    undo();
    throw error;
  }
}

async function writeChange(
  { request, deps }: ResourceContext,
  before: ApiObject,
  object: ApiObject,
): Promise<ApiObject> {
  const after = await deps.store.update(object);
  const isOther = after.metadata.resourceVersion !== before.metadata.resourceVersion;
  if (isOther) deps.onChange?.({ caller: request.caller, verb: 'update', before, after });
  return after;
}

async function writeStatus(
  { kind, deps }: ResourceContext,
  { current, object, dryRun }: Change,
): Promise<ApiObject> {
  const { resourceVersion = '' } = current.metadata;
  if (dryRun) return nextStatus(kind, current, object, resourceVersion);
  return deps.store.updateStatus({ ...object, metadata: { ...object.metadata, resourceVersion } });
}

/**
 * What belongs to the server stays as it is, whatever the client sent; the version is the one that
 * was checked.
 */
function withServerMeta(object: ApiObject, current: ApiObject): ApiObject {
  const { uid, resourceVersion, deletionTimestamp, deletionGracePeriodSeconds, managedFields } =
    current.metadata;
  const {
    deletionTimestamp: _t,
    deletionGracePeriodSeconds: _g,
    managedFields: _m,
    ...given
  } = object.metadata;
  const own = {
    uid,
    resourceVersion,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    managedFields,
  };
  const present = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...object, metadata: { ...given, ...Object.fromEntries(present) } };
}

/** @throws ApiError 422 when a finalizer is added to an object that is being deleted */
function checkFinalizers({ kind }: ResourceContext, current: ApiObject, next: ApiObject): void {
  if (current.metadata.deletionTimestamp === undefined) return;
  const known = new Set(current.metadata.finalizers);
  const added = (next.metadata.finalizers ?? []).filter((name) => !known.has(name));
  if (added.length === 0) return;
  const list = added.map((name) => JSON.stringify(name)).join(', ');
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
  throw invalid({ group: kind.group, name: kind.kind }, next.metadata.name, [
    forbidden('metadata.finalizers', detail),
  ]);
}

/** @throws ApiError 422 */
function checkChange({ kind }: ResourceContext, current: ApiObject, next: ApiObject): void {
  const errors = validateChange(kind, current, next).filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  throw invalid({ group: kind.group, name: kind.kind }, next.metadata.name, errors);
}

/** Whether nothing holds the object any more: it was to be deleted, and the last finalizer went. */
function isFinished({ kind, metadata }: ApiObject): boolean {
  const { deletionTimestamp, finalizers = [] } = metadata;
  // A namespace goes when its content has gone, which its life sees to.
  return deletionTimestamp !== undefined && finalizers.length === 0 && kind !== 'Namespace';
}

async function finishDeletion(
  context: ResourceContext,
  object: ApiObject,
  dryRun: boolean,
): Promise<ApiObject> {
  const { uid = '', resourceVersion = '' } = object.metadata;
  if (!dryRun) await context.deps.store.delete(keyOf(context), { uid, resourceVersion });
  return object;
}
