import { isDeepStrictEqual } from 'node:util';
import { forbidden, invalid } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { configKeyProblems } from '#api/names.ts';

/** Bytes of data that one ConfigMap or Secret may hold. */
export const DATA_BYTES_MAX = 1024 * 1024;

type Data = Readonly<Record<string, string>>;

/** Reports keys that could not be file names. Values are never repeated: they may be secret. */
export function checkDataKeys(data: Data, field: string, report: Report): void {
  for (const key of Object.keys(data)) {
    for (const problem of configKeyProblems(key)) report(invalid(`${field}[${key}]`, key, problem));
  }
}

/** Bytes of values that are text. */
export function textBytes(data: Data): number {
  return Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value), 0);
}

/** Bytes of values that are base64. */
export function decodedBytes(data: Data): number {
  return Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, 'base64'), 0);
}

/** Reports changes to an object that said it never changes again. */
export function checkImmutableData<K extends string>(
  before: Readonly<Partial<Record<K | 'immutable', unknown>>>,
  after: Readonly<Partial<Record<K | 'immutable', unknown>>>,
  fields: readonly K[],
  report: Report,
): void {
  if (before.immutable !== true) return;
  const detail = 'field is immutable when `immutable` is set';
  if (after.immutable !== true) report(forbidden('immutable', detail));
  for (const field of fields) {
    if (!isDeepStrictEqual(before[field] ?? {}, after[field] ?? {})) {
      report(forbidden(field, detail));
    }
  }
}
