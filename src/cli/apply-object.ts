import { isDeepStrictEqual } from 'node:util';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { BulwarkError } from '#base/errors.ts';
import { type KubeClient, refusal } from '#kubeclient/kube-client.ts';
import { threeWayMergePatch } from '#kubeclient/merge-patch.ts';

/**
 * The annotation in which kubectl keeps what was applied last; kept the same, so both tools can
 * take turns.
 */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** What applying did. */
type ApplyOutcome = 'created' | 'configured' | 'unchanged';

/** What applying did, and what is there now. */
export interface Applied {
  readonly outcome: ApplyOutcome;
  readonly object: ApiObject;
}

/** Path of the collection, and of the object, that an object belongs to. */
export interface ObjectPaths {
  readonly collection: string;
  readonly object: string;
  /** `authorizationpolicy.security.istio.io/name`, as kubectl prints it. */
  readonly shown: string;
}

/**
 * Where an object lives in the API.
 * @param fallbackNamespace for namespaced objects that name none
 * @throws BulwarkError API_UNKNOWN_KIND
 */
export function pathsOf(object: ApiObject, fallbackNamespace: string): ObjectPaths {
  const kind = kindOf(object.apiVersion, object.kind);
  if (!kind) {
    const what = `${object.kind} in ${object.apiVersion}`;
    throw new BulwarkError('API_UNKNOWN_KIND', `there is no kind ${what}`);
  }
  const { group, plural, singular, namespaced } = kind;
  const base = group === '' ? `/api/${object.apiVersion}` : `/apis/${object.apiVersion}`;
  const namespace = object.metadata.namespace ?? fallbackNamespace;
  const collection = namespaced
    ? `${base}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${base}/${plural}`;
  const name = object.metadata.name;
  const shown = `${singular}${group === '' ? '' : `.${group}`}/${name}`;
  return { collection, object: `${collection}/${encodeURIComponent(name)}`, shown };
}

/**
 * Brings one object to what the user wrote, as `kubectl apply` does: creates it, or changes what
 * differs and takes out what was applied before and is gone by now.
 * @throws BulwarkError with the server's message when it refuses
 */
export async function applyObject(
  client: KubeClient,
  object: ApiObject,
  paths: ObjectPaths,
): Promise<Applied> {
  const wanted = withAnnotation(object);
  const live = await client.send({ method: 'GET', path: paths.object });
  if (live.status === 404) {
    const path = `${paths.collection}?fieldValidation=Strict`;
    const created = await client.expect({ method: 'POST', path, body: wanted });
    return { outcome: 'created', object: created as ApiObject };
  }
  if (live.status >= 400) throw refusal(live);
  const patch = threeWayMergePatch(
    lastApplied(live.body as ApiObject),
    wanted as unknown as Readonly<Record<string, unknown>>,
    live.body,
  );
  const { apiVersion: _, ...changes } = patch ?? {};
  const before = live.body as ApiObject;
  if (Object.keys(changes).length === 0) return { outcome: 'unchanged', object: before };
  const after = await client.expect({
    method: 'PATCH',
    path: `${paths.object}?fieldValidation=Strict`,
    body: changes,
    contentType: 'application/merge-patch+json',
  });
  const isSame = isDeepStrictEqual(content(after), content(before));
  return { outcome: isSame ? 'unchanged' : 'configured', object: after as ApiObject };
}

/**
 * What users mean by an object: all of it but the server's bookkeeping and our note. A patch may
 * differ from the live object only in what the server fills in.
 */
function content(object: unknown): unknown {
  const { metadata, ...rest } = object as ApiObject;
  const { resourceVersion, managedFields, generation, annotations, ...kept } = metadata;
  const { [LAST_APPLIED]: _, ...notes } = annotations ?? {};
  return { ...rest, metadata: { ...kept, annotations: notes } };
}

function withAnnotation(object: ApiObject): ApiObject {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  const text = `${JSON.stringify(sorted(bare))}\n`;
  return {
    ...bare,
    metadata: { ...bare.metadata, annotations: { ...annotations, [LAST_APPLIED]: text } },
  };
}

/**
 * With keys in order, as kubectl writes it, so that neither tool sees a change in the other's text.
 */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, sorted(one)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function lastApplied(live: ApiObject): unknown {
  const text = live.metadata.annotations?.[LAST_APPLIED];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // written by somebody else: then nothing counts as applied before
  }
}
