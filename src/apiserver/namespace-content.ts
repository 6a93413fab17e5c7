import { KINDS } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { isBulwarkError } from '#base/errors.ts';
import { secondsTimestamp } from '#store/revise.ts';
import type { Store } from '#store/store.ts';

/** What is left of a namespace after all that may go went. */
export interface RemainingContent {
  /** Objects by kind id, `configmaps`. */
  readonly objects: ReadonlyMap<string, number>;
  /** Objects by the finalizer that holds them. */
  readonly finalizers: ReadonlyMap<string, number>;
}

/** The namespace's key. */
export function namespaceKey(name: string) {
  return { kind: 'namespaces', namespace: '', name };
}

/**
 * Deletes every object of a namespace, or marks it as being deleted where a finalizer holds it.
 * @returns what is still there
 * @throws BulwarkError when the store cannot write
 */
export async function deleteContent(
  store: Store,
  namespace: string,
  now: number,
): Promise<RemainingContent> {
  const objects = new Map<string, number>();
  const finalizers = new Map<string, number>();
  for (const kind of KINDS.filter(({ namespaced }) => namespaced)) {
    const { items } = await store.list(kind.id, { namespace });
    const outcomes = await Promise.all(
      items.map((object) => deleteOne(store, kind.id, object, now)),
    );
    for (const held of outcomes) {
      if (!held) continue;
      objects.set(kind.id, (objects.get(kind.id) ?? 0) + 1);
      for (const name of held) finalizers.set(name, (finalizers.get(name) ?? 0) + 1);
    }
  }
  return { objects, finalizers };
}

/** The finalizers that hold the object; undefined when it is gone. */
async function deleteOne(
  store: Store,
  kind: string,
  object: ApiObject,
  now: number,
): Promise<readonly string[] | undefined> {
  const { name, namespace = '', resourceVersion = '', deletionTimestamp } = object.metadata;
  const { finalizers = [] } = object.metadata;
  try {
    if (finalizers.length === 0) {
      await store.delete({ kind, namespace, name }, { resourceVersion });
      return undefined;
    }
    if (deletionTimestamp === undefined) await store.update(markDeleted(object, now));
    return finalizers;
  } catch (error) {
    if (isBulwarkError(error, 'API_NOT_FOUND')) return undefined;
    // Somebody changed it meanwhile: the next round looks at what it is then.
    if (isBulwarkError(error, 'API_CONFLICT')) return ['changed meanwhile'];
    throw error;
  }
}

/** The object with the marks of a deletion that waits for finalizers. */
export function markDeleted(object: ApiObject, now: number): ApiObject {
  const deletionTimestamp = secondsTimestamp(now);
  return {
    ...object,
    metadata: { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0 },
  };
}

/** What the status of the namespace says about why it is still there, in Kubernetes' words. */
export function remainingConditions(
  { objects, finalizers }: RemainingContent,
  now: number,
): readonly object[] {
  const lastTransitionTime = secondsTimestamp(now);
  const parts = (counts: ReadonlyMap<string, number>, between: string): string =>
    [...counts].map(([name, count]) => `${name}${between}${count} resource instances`).join(', ');
  const left = parts(objects, '. has ');
  const held = parts(finalizers, ' in ');
  return [
    {
      type: 'NamespaceContentRemaining',
      status: 'True',
      lastTransitionTime,
      reason: 'SomeResourcesRemain',
      message: `Some resources are remaining: ${left}`,
    },
    {
      type: 'NamespaceFinalizersRemaining',
      status: 'True',
      lastTransitionTime,
      reason: 'SomeFinalizersRemain',
      message: `Some content in the namespace has finalizers remaining: ${held}`,
    },
  ];
}
