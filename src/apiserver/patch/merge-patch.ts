import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';

/**
 * The target after a JSON merge patch (RFC 7396): null removes, objects merge, everything else
 * replaces.
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map<string, unknown>(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, applyMergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged) satisfies JsonObject;
}
