import type { ApiObject } from '#api/object.ts';
import { admit, asKind, strictDecodingError } from '#apiserver/admit.ts';
import { decodeBody } from '#apiserver/body.ts';
import { prepareCreate } from '#apiserver/kind-strategies.ts';
import { namespaceKey } from '#apiserver/namespace-content.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import type { Answer } from '#apiserver/present.ts';
import { writeOptions } from '#apiserver/query.ts';
import { presenterFor, type ResourceContext } from '#apiserver/resource-context.ts';
import {
  ApiError,
  alreadyExists,
  badRequest,
  methodNotAllowed,
  notFound,
} from '#apiserver/status.ts';
import { warningHeaders } from '#apiserver/warnings.ts';
import { isBulwarkError } from '#base/errors.ts';
import { refuseOneTooMany } from '#store/count-limit.ts';
import { firstRevision } from '#store/revise.ts';

/** Letters of generated names: no vowels, so that no words come out. */
const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const BASE_LENGTH_MAX = 63 - SUFFIX_LENGTH;
/** A generated name may be taken; Kubernetes tries as often. */
const NAME_ATTEMPTS = 8;

/** POST to a collection. @throws ApiError */
export async function createObject(context: ResourceContext): Promise<Answer> {
  const { request, info, kind } = context;
  if (kind.namespaced && info.namespace === '') throw methodNotAllowed();
  const presenter = presenterFor(context);
  const options = writeOptions(request.query, 'CreateOptions');
  const body = decodeBody(request.body, request.headers['content-type'], kind.kind);
  const candidate = inNamespace(asKind(body.object, kind, info.version), context);
  if (metadataOf(candidate).resourceVersion) {
    const message = 'resourceVersion should not be set on objects to be created';
    throw new ApiError(500, undefined, message);
  }
  for (let attempt = 1; ; attempt += 1) {
    const { named, generated } = withName(candidate, context);
    const { object, warnings } = admit(named, {
      kind,
      version: info.version,
      fieldValidation: options.fieldValidation,
      duplicates: body.duplicates,
      check: context.deps.check,
      strictError: strictDecodingError(kind, info.version),
    });
    try {
      const stored = await store(context, object, options.dryRun);
      const headers = warningHeaders(warnings);
      return presenter.answer(stored, { code: 201, headers });
    } catch (error) {
      const taken = isBulwarkError(error, 'API_ALREADY_EXISTS');
      if (taken && generated && attempt < NAME_ATTEMPTS) continue;
      throw taken ? await takenError(context, object) : error;
    }
  }
}

/** Metadata of a body that was not checked yet. */
export function metadataOf(candidate: JsonObject): JsonObject {
  return isObject(candidate.metadata) ? candidate.metadata : {};
}

/**
 * The body in the namespace of the path.
 * @throws ApiError 400 when it names another one
 */
export function inNamespace(candidate: JsonObject, { info, kind }: ResourceContext): JsonObject {
  const metadata = metadataOf(candidate);
  const named = metadata.namespace ?? '';
  if (!kind.namespaced) return candidate;
  if (named !== '' && named !== info.namespace) {
    throw badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
  if (candidate.metadata !== undefined && !isObject(candidate.metadata)) return candidate;
  return { ...candidate, metadata: { ...metadata, namespace: info.namespace } };
}

function withName(
  candidate: JsonObject,
  { deps }: ResourceContext,
): { readonly named: JsonObject; readonly generated: boolean } {
  const metadata = metadataOf(candidate);
  const { name = '', generateName = '' } = metadata;
  if (name !== '' || typeof generateName !== 'string' || generateName === '') {
    return { named: candidate, generated: false };
  }
  const letters = [...deps.random.bytes(SUFFIX_LENGTH)].map(
    (byte) => NAME_LETTERS[byte % NAME_LETTERS.length],
  );
  const full = generateName.slice(0, BASE_LENGTH_MAX) + letters.join('');
  return { named: { ...candidate, metadata: { ...metadata, name: full } }, generated: true };
}

async function store(
  context: ResourceContext,
  object: ApiObject,
  dryRun: boolean,
): Promise<ApiObject> {
  const { info, kind, deps, request } = context;
  deps.guard.check({ caller: request.caller, kind, object });
  const within = kind.namespaced ? namespaceKey(info.namespace) : undefined;
  const { object: prepared, undo } = prepareCreate(
    kind,
    withoutServerMeta(object),
    deps.clusterIps,
  );
  if (dryRun) {
    undo();
    return asIfCreated(context, prepared);
  }
  try {
    const stored = await deps.store.create(prepared, within ? { within } : {});
    deps.onChange?.({ caller: context.request.caller, verb: 'create', after: stored });
    // A namespace is ready for workloads when its creator hears of it.
    if (kind.id === 'namespaces') await deps.namespaces.ensureAccount(stored.metadata.name);
    return stored;
  } catch (error) {
    undo();
    throw error;
  }
}

/** What only the server says; Kubernetes drops it silently. */
function withoutServerMeta(object: ApiObject): ApiObject {
  const {
    deletionTimestamp: _t,
    deletionGracePeriodSeconds: _g,
    managedFields: _m,
    selfLink: _s,
    ...metadata
  } = object.metadata as ApiObject['metadata'] & { readonly selfLink?: string };
  return { ...object, metadata };
}

async function asIfCreated(context: ResourceContext, object: ApiObject): Promise<ApiObject> {
  const { info, kind, deps } = context;
  const { name, namespace = '' } = object.metadata;
  if (kind.namespaced && !(await deps.store.get(namespaceKey(info.namespace)))) {
    throw notFound({ group: '', name: 'namespaces' }, info.namespace);
  }
  const key = { kind: kind.id, namespace, name };
  if (await deps.store.get(key)) throw await takenError(context, object);
  refuseOneTooMany(key, kind, (await deps.store.list(kind.id)).items.length);
  const revision = firstRevision(kind, object, { version: '0', ...deps });
  const { resourceVersion: _, ...metadata } = revision.metadata;
  return { ...revision, metadata };
}

async function takenError({ kind, deps }: ResourceContext, object: ApiObject): Promise<ApiError> {
  const { name, namespace = '' } = object.metadata;
  const present = await deps.store.get({ kind: kind.id, namespace, name });
  const deleting = present?.metadata.deletionTimestamp !== undefined;
  return alreadyExists({ group: kind.group, name: kind.plural }, name, deleting);
}
