import { isDeepStrictEqual } from 'node:util';
import type { Schema } from '#api/schema.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import { ApiError, badRequest, tooLarge } from '#apiserver/status.ts';
import { LIMITS } from '#base/limits.ts';

/**
 * Members of a patch that say how to merge, not what (kubernetes.io, "Strategic merge patch"
 * directives).
 */
const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const SET_ORDER = '$setElementOrder/';
const DELETE_VALUES = '$deleteFromPrimitiveList/';

/**
 * The target after a strategic merge patch: like a merge patch, but lists whose schema says `merge`
 * are merged by their key instead of replaced.
 * @throws ApiError 400 for a directive that is none, 500 (as Kubernetes does) for an item without
 * its key
 */
export function applyStrategicMergePatch(
  target: JsonObject,
  patch: JsonObject,
  schema: Schema,
): JsonObject {
  return mergeObjects(target, patch, schema);
}

function mergeObjects(target: JsonObject, patch: JsonObject, schema: Schema | undefined) {
  const directive = patch[DIRECTIVE];
  if (directive === 'replace') return cleaned(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive);
  const merged = new Map(Object.entries(retained(target, patch[RETAIN_KEYS])));
  for (const [key, value] of Object.entries(patch)) {
    if (key === DIRECTIVE || key === RETAIN_KEYS || key.startsWith(SET_ORDER)) continue;
    if (key.startsWith(DELETE_VALUES)) {
      deleteValues(merged, key.slice(DELETE_VALUES.length), value);
    } else if (value === null) {
      merged.delete(key);
    } else {
      const order = patch[SET_ORDER + key];
      merged.set(key, mergeMember(merged.get(key), value, memberSchema(schema, key), order));
    }
  }
  for (const [key, order] of Object.entries(patch)) {
    if (key.startsWith(SET_ORDER))
      reorder(merged, key.slice(SET_ORDER.length), order, patch, schema);
  }
  return Object.fromEntries(merged) satisfies JsonObject;
}

function memberSchema(schema: Schema | undefined, key: string): Schema | undefined {
  const { properties, additionalProperties } = schema ?? {};
  return properties && Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
}

function mergeMember(
  present: unknown,
  value: unknown,
  schema: Schema | undefined,
  order: unknown,
): unknown {
  const strategy = schema?.['x-kubernetes-patch-strategy'];
  if (isObject(value)) {
    if (!isObject(present) || strategy === 'replace') return cleaned(value);
    return mergeObjects(present, value, schema);
  }
  if (!Array.isArray(value)) return value;
  if (!Array.isArray(present) || strategy !== 'merge') return listWithoutDirectives(value);
  refuseLong(present, value, order);
  const key = schema?.['x-kubernetes-patch-merge-key'];
  return key === undefined
    ? mergeValues(present, value, order)
    : mergeItems(present, value, { key, schema: schema?.items, order });
}

/** Lists of plain values are sets: those of the patch first, as far as nothing says otherwise. */
function mergeValues(
  present: readonly unknown[],
  patch: readonly unknown[],
  order: unknown,
): unknown[] {
  const all = [...present, ...patch].filter((value, index, list) => list.indexOf(value) === index);
  const wanted = Array.isArray(order) ? order : patch;
  return inOrder(all, { wanted, present, same: (a, b) => a === b });
}

interface ItemsOptions {
  readonly key: string;
  readonly schema: Schema | undefined;
  readonly order: unknown;
}

/** Lists of objects are merged item by item; which belong together says the value of their key. */
function mergeItems(
  present: readonly unknown[],
  patch: readonly unknown[],
  { key, schema, order }: ItemsOptions,
): unknown[] {
  const items = patch.filter(isObject);
  if (items.some((item) => item[DIRECTIVE] === 'replace' && !Object.hasOwn(item, key))) {
    return items.filter((item) => Object.hasOwn(item, key)).map(cleaned);
  }
  const same = sameBy(key);
  let merged: unknown[] = [...present];
  for (const item of items) {
    if (!Object.hasOwn(item, key)) throw missingKey(item, key);
    const { [DIRECTIVE]: directive } = item;
    const index = merged.findIndex((candidate) => same(candidate, item));
    if (directive === 'delete') merged = merged.filter((candidate) => !same(candidate, item));
    else if (index < 0) merged.push(cleaned(item));
    else merged[index] = mergeObjects(merged[index] as JsonObject, item, schema);
  }
  const kept = items.filter((item) => item[DIRECTIVE] !== 'delete');
  return inOrder(merged, { wanted: Array.isArray(order) ? order : kept, present, same });
}

type Same = (a: unknown, b: unknown) => boolean;

function sameBy(key: string): Same {
  return (a, b) => isObject(a) && isObject(b) && isDeepStrictEqual(a[key], b[key]);
}

/**
 * Puts the items that the patch names into its order, and the others where the present list has
 * them: before the first named one that they preceded.
 */
function inOrder(
  all: readonly unknown[],
  options: {
    readonly wanted: readonly unknown[];
    readonly present: readonly unknown[];
    readonly same: Same;
  },
): unknown[] {
  const { wanted, present, same } = options;
  const place = (list: readonly unknown[], item: unknown): number =>
    list.findIndex((candidate) => same(candidate, item));
  const named = all
    .filter((item) => place(wanted, item) >= 0)
    .sort((a, b) => place(wanted, a) - place(wanted, b));
  const others = all.filter((item) => place(wanted, item) < 0);
  const result: unknown[] = [];
  while (named.length > 0 && others.length > 0) {
    const [at, before] = [place(present, others[0]), place(present, named[0])];
    result.push(at >= 0 && before >= 0 && at < before ? others.shift() : named.shift());
  }
  return [...result, ...named, ...others];
}

/** An order may come without items: then the present list is only rearranged. */
function reorder(
  merged: Map<string, unknown>,
  key: string,
  order: unknown,
  patch: JsonObject,
  schema: Schema | undefined,
): void {
  const present = merged.get(key);
  if (!Array.isArray(order) || !Array.isArray(present) || Object.hasOwn(patch, key)) return;
  refuseLong(present, order);
  const mergeKey = memberSchema(schema, key)?.['x-kubernetes-patch-merge-key'];
  const same = mergeKey === undefined ? (a: unknown, b: unknown) => a === b : sameBy(mergeKey);
  merged.set(key, inOrder(present, { wanted: order, present, same }));
}

function retained(target: JsonObject, keys: unknown): JsonObject {
  if (!Array.isArray(keys)) return target;
  refuseLong(keys);
  return Object.fromEntries(Object.entries(target).filter(([key]) => keys.includes(key)));
}

function deleteValues(merged: Map<string, unknown>, key: string, values: unknown): void {
  const present = merged.get(key);
  if (!Array.isArray(present) || !Array.isArray(values)) return;
  refuseLong(present, values);
  const left = present.filter((value) => !values.includes(value));
  if (left.length > 0) merged.set(key, left);
  else merged.delete(key);
}

/**
 * Each item is compared with each other one, and nobody else is served meanwhile.
 * @throws ApiError 413
 */
function refuseLong(...lists: readonly unknown[]): void {
  const items = lists.reduce((sum: number, one) => sum + (Array.isArray(one) ? one.length : 0), 0);
  if (items > LIMITS.patchListItemsMax) throw tooLarge(LIMITS.apiBodyBytesMax);
}

/** What is new has nothing to merge with: directives and nulls in it mean nothing. */
function cleaned(value: JsonObject): JsonObject {
  const members = Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
    if (member === null || key === DIRECTIVE || key === RETAIN_KEYS) return [];
    if (key.startsWith(SET_ORDER) || key.startsWith(DELETE_VALUES)) return [];
    if (isObject(member)) return [[key, cleaned(member)]];
    return [[key, Array.isArray(member) ? listWithoutDirectives(member) : member]];
  });
  return Object.fromEntries(members);
}

function listWithoutDirectives(list: readonly unknown[]): unknown[] {
  return list
    .filter((item) => !(isObject(item) && isLoneDirective(item)))
    .map((item) => (isObject(item) ? cleaned(item) : item));
}

function isLoneDirective(item: JsonObject): boolean {
  return item[DIRECTIVE] === 'delete' || (DIRECTIVE in item && Object.keys(item).length === 1);
}

function unknownDirective(directive: unknown): ApiError {
  return badRequest(`unknown patch type found: ${JSON.stringify(directive)}`);
}

function missingKey(item: JsonObject, key: string): ApiError {
  const shown = Object.entries(item).map(([name, value]) =>
    `${name}:${String(value)}`.slice(0, 80),
  );
  const message = `map: map[${shown.sort().join(' ')}] does not contain declared merge key: ${key}`;
  return new ApiError(500, undefined, message);
}
