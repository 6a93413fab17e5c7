import type { Placeholders } from './placeholders.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Of which object somebody owns which field: kept by real servers, a case of its own here. */
const MANAGED_FIELDS = '<managedFields>';

/**
 * Where an answer first differs from what was recorded. `isPart`: what is expected is only a part
 * of the answer, and of lists of objects the names.
 */
export function answerDifference(
  expected: unknown,
  actual: unknown,
  placeholders: Placeholders,
  isPart: boolean,
  path = 'body',
): string | undefined {
  if (typeof expected === 'string') {
    return placeholders.matches(expected, actual) ? undefined : differs(path, expected, actual);
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length)
      return differs(path, expected, actual);
    for (const [index, one] of expected.entries()) {
      const item: unknown = actual[index];
      const given = typeof one === 'string' ? (nameOf(item) ?? item) : item;
      const at = `${path}[${index}]`;
      const difference = answerDifference(one, given, placeholders, isPart, at);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (typeof expected !== 'object' || expected === null)
    return Object.is(expected, actual) ? undefined : differs(path, expected, actual);
  if (typeof actual !== 'object' || actual === null) return differs(path, expected, actual);
  return fieldsDifference(expected as Fields, actual as Fields, placeholders, isPart, path);
}

function fieldsDifference(
  expected: Fields,
  actual: Fields,
  placeholders: Placeholders,
  isPart: boolean,
  path: string,
): string | undefined {
  const left = new Set(Object.keys(actual));
  for (const [name, value] of Object.entries(expected)) {
    if (value === MANAGED_FIELDS && name === 'managedFields') {
      left.delete(name);
      continue;
    }
    const found = left.has(name) ? name : [...left].find((key) => placeholders.matches(name, key));
    if (found === undefined) return differs(`${path}.${name}`, value, undefined);
    left.delete(found);
    const at = `${path}.${name}`;
    const difference = answerDifference(value, actual[found], placeholders, isPart, at);
    if (difference !== undefined) return difference;
  }
  const [more] = left;
  return more === undefined || isPart
    ? undefined
    : differs(`${path}.${more}`, undefined, actual[more]);
}

function nameOf(item: unknown): unknown {
  return (item as { readonly metadata?: { readonly name?: unknown } } | undefined)?.metadata?.name;
}

function differs(path: string, expected: unknown, actual: unknown): string {
  return `${path}: expected ${shown(expected)}, got ${shown(actual)}`;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 160);
}
