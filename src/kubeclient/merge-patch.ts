import { isDeepStrictEqual } from 'node:util';

/** A JSON object. */
type JsonMap = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The JSON merge patch (RFC 7396) that brings `live` to what is `desired`: sets what differs, and
 * takes out what the user had applied last and no longer wants. What others added stays. Lists
 * count as one value, as with kubectl apply of custom resources. Undefined when nothing is to
 * change.
 */
export function threeWayMergePatch(
  lastApplied: unknown,
  desired: JsonMap,
  live: unknown,
): JsonMap | undefined {
  const last = isMap(lastApplied) ? lastApplied : {};
  const present = isMap(live) ? live : {};
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(desired)) {
    const before = present[key];
    if (isMap(value) && isMap(before)) {
      const inner = threeWayMergePatch(last[key], value, before);
      if (inner) patch[key] = inner;
    } else if (!isDeepStrictEqual(value, before)) {
      patch[key] = value;
    }
  }
  for (const [key, value] of Object.entries(last)) {
    if (key in desired || !(key in present)) continue;
    // A map that is gone as a whole takes with it what the user had put in, not what others did.
    const inner =
      isMap(value) && isMap(present[key]) && threeWayMergePatch(value, {}, present[key]);
    patch[key] = inner && leavesSomething(present[key], inner) ? inner : null;
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** Whether a map has entries that a patch does not take out. */
function leavesSomething(map: unknown, patch: JsonMap): boolean {
  return isMap(map) && Object.keys(map).some((key) => patch[key] !== null);
}
