import type { AttributeManifest } from '#api/kinds/attribute-manifest.ts';
import { type DenierParams, handlerParams } from '#api/kinds/mixer-handler.ts';
import { listedValue } from '#api/kinds/mixer-instance.ts';
import type { ListParams } from '#api/kinds/mixer-list.ts';
import type { ApiObject } from '#api/object.ts';
import type { ValueType } from '#mixer/expression.ts';
import { type FetchedList, type ListSource, listSourceOf } from '#model/fetched-lists.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';

/** The objects that Mixer's access control comes from. */
export interface MixerObjects
  extends Pick<
    MeshSnapshot,
    | 'attributeManifests'
    | 'mixerRules'
    | 'mixerHandlers'
    | 'mixerInstances'
    | 'deniers'
    | 'listCheckers'
    | 'checkNothings'
    | 'listEntries'
    | 'fetchedLists'
  > {}

/** A handler, in its newer or older form, by what it does. */
export type FoundHandler = {
  readonly object: ApiObject;
} & ({ readonly denier: DenierParams } | { readonly list: ListParams });

/** An instance; `value` is the expression of a listentry. */
export interface FoundInstance {
  readonly object: ApiObject;
  readonly value: string | undefined;
}

/** The handler that a rule of a namespace names; undefined when there is none. */
export function handlerNamed(
  name: string,
  namespace: string,
  objects: MixerObjects,
): FoundHandler | undefined {
  const handler = find(name, namespace, 'handler', objects.mixerHandlers);
  const params = handler && handlerParams(handler);
  if (handler && params) return { object: handler, ...params };
  const denier = find(name, namespace, 'denier', objects.deniers);
  if (denier) return { object: denier, denier: denier.spec ?? {} };
  const list = find(name, namespace, 'listchecker', objects.listCheckers);
  return list && { object: list, list: list.spec ?? {} };
}

/** What a listchecker takes from elsewhere. */
export interface ProvidedList {
  readonly source: ListSource;
  /** Undefined when nobody has tried to fetch it. */
  readonly list: FetchedList | undefined;
}

/** The list that a handler takes from elsewhere; undefined for one that takes none. */
export function providedList(
  handler: FoundHandler | undefined,
  { fetchedLists }: Pick<MixerObjects, 'fetchedLists'>,
): ProvidedList | undefined {
  const source = handler && 'list' in handler ? listSourceOf(handler.list) : undefined;
  return source && { source, list: fetchedLists.get(source) };
}

/** All lists that the handlers of a mesh take from elsewhere, each with its handler. */
export function listHandlersOf({
  mixerHandlers,
  listCheckers,
}: Pick<MixerObjects, 'mixerHandlers' | 'listCheckers'>): readonly (readonly [
  ApiObject,
  ListSource,
])[] {
  const newer = mixerHandlers.all().flatMap((object) => {
    const params = handlerParams(object);
    const source = params && 'list' in params ? listSourceOf(params.list) : undefined;
    return source ? [[object, source] as const] : [];
  });
  const older = listCheckers.all().flatMap((object) => {
    const source = listSourceOf(object.spec ?? {});
    return source ? [[object, source] as const] : [];
  });
  return [...newer, ...older];
}

/** The instance that a rule of a namespace names; undefined when there is none. */
export function instanceNamed(
  name: string,
  namespace: string,
  objects: MixerObjects,
): FoundInstance | undefined {
  const instance = find(name, namespace, 'instance', objects.mixerInstances);
  if (instance) return { object: instance, value: listedValue(instance) };
  const nothing = find(name, namespace, 'checknothing', objects.checkNothings);
  if (nothing) return { object: nothing, value: undefined };
  const entry = find(name, namespace, 'listentry', objects.listEntries);
  return entry && { object: entry, value: entry.spec?.value };
}

/** `<name>.<kind>` or `<name>.<kind>.<namespace>`; of the newer forms the kind may be left out. */
function find<T extends ApiObject>(
  name: string,
  namespace: string,
  kind: string,
  objects: NamespacedObjects<T>,
): T | undefined {
  const [, own, at] = new RegExp(`^(.+)\\.${kind}(?:\\.([^.]+))?$`).exec(name) ?? [];
  const byKind = own === undefined ? undefined : objects.get(at ?? namespace, own);
  if (byKind !== undefined || (kind !== 'handler' && kind !== 'instance')) return byKind;
  const [, short, elsewhere] = /^(.+)\.([^.]+)$/.exec(name) ?? [];
  const inOther = short === undefined ? undefined : objects.get(elsewhere ?? '', short);
  return objects.get(namespace, name) ?? inOther;
}

const declared = new WeakMap<
  NamespacedObjects<AttributeManifest>,
  ReadonlyMap<string, ValueType>
>();

/** The attributes that manifests declare. */
export function declaredAttributes({
  attributeManifests,
}: Pick<MixerObjects, 'attributeManifests'>): ReadonlyMap<string, ValueType> {
  const known = declared.get(attributeManifests);
  if (known !== undefined) return known;
  const all = attributeManifests
    .all()
    .flatMap(({ spec }) => Object.entries(spec?.attributes ?? {}))
    .flatMap(([name, { valueType = 'VALUE_TYPE_UNSPECIFIED' }]) =>
      valueType === 'VALUE_TYPE_UNSPECIFIED' ? [] : [[name, valueType] as const],
    );
  const made = new Map(all);
  declared.set(attributeManifests, made);
  return made;
}
