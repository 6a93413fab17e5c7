/**
 * A JSON object as patches work on it. Never changed in place: a patch that fails half way must
 * leave no trace.
 */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether the value is a JSON object, not a list and not null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object with a member set; safe for every name, `__proto__` too. */
export function withMember(object: JsonObject, key: string, value: unknown): JsonObject {
  return { ...object, [key]: value };
}

/** The object without a member. */
export function withoutMember(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}
