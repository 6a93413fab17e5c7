import type { ApiObject } from '#api/object.ts';

/** Freezes a JSON value through and through, so that it can be shared. */
function freeze(value: unknown): void {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}

/** The object itself, frozen with all its parts. */
export function frozen<T extends ApiObject>(object: T): T {
  freeze(object);
  return object;
}

const texts = new WeakMap<ApiObject, string>();

/**
 * The JSON of an object that the store handed out. Made once for each object, since objects never
 * change: lists and watches of many clients send the same text.
 */
export function textOf(object: ApiObject): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = JSON.stringify(object);
  if (Object.isFrozen(object)) texts.set(object, text);
  return text;
}

/** The frozen object of a JSON text that `textOf` made; remembers the text. */
export function objectOf(text: string): ApiObject {
  const object = frozen(JSON.parse(text) as ApiObject);
  texts.set(object, text);
  return object;
}
