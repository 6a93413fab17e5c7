// @peculiar/x509 as a second opinion on what our own code makes and reads.

/**
 * The part of `reflect-metadata` that the library asks for when it is loaded: notes on classes by
 * key.
 */
const notes = new WeakMap<object, Map<unknown, unknown>>();
const polyfill = {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    notes.set(target, (notes.get(target) ?? new Map()).set(key, value));
  },
  getOwnMetadata: (key: unknown, target: object): unknown => notes.get(target)?.get(key),
  getMetadata: (key: unknown, target: object): unknown => notes.get(target)?.get(key),
  hasOwnMetadata: (key: unknown, target: object): boolean => notes.get(target)?.has(key) ?? false,
};
Object.assign(Reflect, polyfill);

/** The library, loaded after what it needs. */
export const x509 = await import('@peculiar/x509');
