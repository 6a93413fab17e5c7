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
export type ApplyOutcome = 'created' | 'configured' | 'unchanged';

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
): Promise<ApplyOutcome> {
  const wanted = withAnnotation(object);
  const live = await client.send({ method: 'GET', path: paths.object });
  if (live.status === 404) {
    const path = `${paths.collection}?fieldValidation=Strict`;
    await client.expect({ method: 'POST', path, body: wanted });
    return 'created';
  }
  if (live.status >= 400) throw refusal(live);
  const patch = threeWayMergePatch(
    lastApplied(live.body as ApiObject),
    wanted as unknown as Readonly<Record<string, unknown>>,
    live.body,
  );
  const { apiVersion: _, ...changes } = patch ?? {};
  if (Object.keys(changes).length === 0) return 'unchanged';
  await client.expect({
    method: 'PATCH',
    path: `${paths.object}?fieldValidation=Strict`,
    body: changes,
    contentType: 'application/merge-patch+json',
  });
  return onlyAnnotationChanged(changes) ? 'unchanged' : 'configured';
}

function withAnnotation(object: ApiObject): ApiObject {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  const text = `${JSON.stringify(bare)}\n`;
  return {
    ...bare,
    metadata: { ...bare.metadata, annotations: { ...annotations, [LAST_APPLIED]: text } },
  };
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

/**
 * Whether nothing but our own note differs, such as after the first apply of an object made
 * otherwise.
 */
function onlyAnnotationChanged(changes: Readonly<Record<string, unknown>>): boolean {
  const { metadata, ...rest } = changes as { metadata?: { annotations?: object } };
  const annotations = Object.keys(metadata?.annotations ?? {});
  const other = Object.keys(metadata ?? {}).filter((key) => key !== 'annotations');
  return (
    Object.keys(rest).length === 0 &&
    other.length === 0 &&
    annotations.every((name) => name === LAST_APPLIED)
  );
}
