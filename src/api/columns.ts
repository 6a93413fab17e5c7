import type { Cell, Column } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;
const YEAR_S = 365 * DAY_S;

/** `12h` and, where the rest is not 0, the next smaller unit with it: `12h5m`. */
function twoUnits(seconds: number, big: [number, string], small: [number, string]): string {
  const rest = Math.floor((seconds % big[0]) / small[0]);
  const whole = `${Math.floor(seconds / big[0])}${big[1]}`;
  return rest === 0 ? whole : `${whole}${rest}${small[1]}`;
}

/**
 * A span of time as kubectl prints ages, two units at most: `119s`, `9m5s`, `179m`, `7h59m`, `47h`,
 * `7d23h`, `729d`, `7y364d`. More than a second in the future is `<invalid>`.
 */
function formatAge(ageMs: number): string {
  const seconds = Math.trunc(ageMs / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 2 * MINUTE_S) return `${Math.max(0, seconds)}s`;
  if (seconds < 10 * MINUTE_S) return twoUnits(seconds, [MINUTE_S, 'm'], [1, 's']);
  if (seconds < 3 * HOUR_S) return `${Math.floor(seconds / MINUTE_S)}m`;
  if (seconds < 8 * HOUR_S) return twoUnits(seconds, [HOUR_S, 'h'], [MINUTE_S, 'm']);
  if (seconds < 2 * DAY_S) return `${Math.floor(seconds / HOUR_S)}h`;
  if (seconds < 8 * DAY_S) return twoUnits(seconds, [DAY_S, 'd'], [HOUR_S, 'h']);
  if (seconds < 2 * YEAR_S) return `${Math.floor(seconds / DAY_S)}d`;
  if (seconds < 8 * YEAR_S) return twoUnits(seconds, [YEAR_S, 'y'], [DAY_S, 'd']);
  return `${Math.floor(seconds / YEAR_S)}y`;
}

/** The value at a path of field names such as `.spec.mtls.mode`; undefined where there is none. */
function valueAt(object: ApiObject, jsonPath: string): unknown {
  let value: unknown = object;
  for (const field of jsonPath.split('.').slice(1)) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
  }
  return value;
}

/** A column that shows one field; lists and objects are shown as JSON, as a cluster shows them. */
export function fieldColumn(
  name: string,
  jsonPath: string,
  description: string,
): Column<ApiObject> {
  const value = (object: ApiObject): Cell => {
    const found = valueAt(object, jsonPath);
    if (found === undefined || found === null) return null;
    if (typeof found === 'string' || typeof found === 'number') return found;
    return JSON.stringify(found);
  };
  return { name, type: 'string', description, priority: 0, jsonPath, value };
}

/** How long ago the object was made. */
export const ageColumn: Column<ApiObject> = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was created.',
  priority: 0,
  jsonPath: '.metadata.creationTimestamp',
  value(object, now) {
    const createdAt = Date.parse(object.metadata.creationTimestamp ?? '');
    return Number.isNaN(createdAt) ? '<unknown>' : formatAge(now - createdAt);
  },
};
