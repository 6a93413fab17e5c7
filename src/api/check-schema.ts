import type { Diagnostic } from '#api/diagnostic.ts';
import {
  duplicate,
  invalid,
  required,
  tooLong,
  tooMany,
  unknownField,
  unsupported,
  wrongType,
} from '#api/field-error.ts';
import { nearField } from '#api/near-field.ts';
import { nearName } from '#api/near-name.ts';
import type { Schema } from '#api/schema.ts';

/** How `checkSchema` treats what it finds. */
export interface SchemaCheck {
  /** Unknown fields are errors, or warnings and left out of the result. */
  readonly unknownFields: 'error' | 'warning';
  /** Nothing more is taken; no work need go into what would be reported. */
  readonly full: boolean;
  report(diagnostic: Diagnostic): void;
}

const INT32_MAX = 2 ** 31 - 1;
/** Of base64 with padding; line ends are allowed as Go's decoder allows them. */
const BASE64 = /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Patterns of schemas, compiled once. */
const patterns = new Map<string, RegExp>();

function compiled(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  const made = new RegExp(pattern, 'u');
  patterns.set(pattern, made);
  return made;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return String(value);
    return Number.isInteger(value) ? 'integer' : 'number';
  }
  return typeof value;
}

function fitsType(schema: Schema, found: string): boolean {
  if (schema['x-kubernetes-int-or-string']) return found === 'integer' || found === 'string';
  if (schema.type === 'number') return found === 'number' || found === 'integer';
  return schema.type === undefined || schema.type === found;
}

/** Whether the text has more characters than `max`; a pair of surrogates is one (as in OpenAPI). */
function isLonger(text: string, max: number): boolean {
  return text.length > 2 * max || (text.length > max && [...text].length > max);
}

function checkString(schema: Schema, value: string, field: string, check: SchemaCheck): void {
  const { minLength, maxLength, pattern, format } = schema;
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    const near = check.full ? undefined : nearName(value, schema.enum);
    check.report(unsupported(field, value, schema.enum, near && `did you mean "${near}"?`));
    return;
  }
  if (maxLength !== undefined && isLonger(value, maxLength))
    check.report(tooLong(field, maxLength));
  if (minLength !== undefined && value.length < minLength) {
    check.report(
      invalid(field, value, `${field} in body should be at least ${minLength} chars long`),
    );
  }
  if (pattern !== undefined && !compiled(pattern).test(value)) {
    check.report(invalid(field, value, `${field} in body should match '${pattern}'`));
  }
  if (format === 'date-time' && (!DATE_TIME.test(value) || Number.isNaN(Date.parse(value)))) {
    check.report(invalid(field, value, `${field} in body must be of type date-time: "${value}"`));
  }
  if (format === 'byte') checkBase64(value, field, check);
}

/** Values in base64 are secrets most of the time: no message repeats them. */
function checkBase64(value: string, field: string, check: SchemaCheck): void {
  if (BASE64.test(value) && value.replaceAll(/[\r\n]/g, '').length % 4 === 0) return;
  check.report(
    wrongType(field, 'byte', 'string', 'encode the value in base64, or write it under stringData'),
  );
}

function checkNumber(schema: Schema, value: number, field: string, check: SchemaCheck): void {
  const whole = schema.type === 'integer' ? Number.MAX_SAFE_INTEGER : Number.POSITIVE_INFINITY;
  const bound = schema.format === 'int32' ? INT32_MAX : whole;
  const minimum = schema.minimum ?? -bound;
  const maximum = schema.maximum ?? bound;
  if (value < minimum) {
    check.report(
      invalid(field, value, `${field} in body should be greater than or equal to ${minimum}`),
    );
  }
  if (value > maximum) {
    check.report(
      invalid(field, value, `${field} in body should be less than or equal to ${maximum}`),
    );
  }
}

function checkList(
  schema: Schema,
  value: readonly unknown[],
  field: string,
  check: SchemaCheck,
): readonly unknown[] {
  const { items, minItems, maxItems } = schema;
  if (maxItems !== undefined && value.length > maxItems) {
    check.report(tooMany(field, value.length, maxItems));
    return value;
  }
  if (minItems !== undefined && value.length < minItems) {
    check.report(
      invalid(field, value.length, `${field} in body should have at least ${minItems} items`),
    );
  }
  if (items === undefined) return value;
  const kept = value.map((item, index) => checkSchema(items, item, `${field}[${index}]`, check));
  checkUnique(schema, kept, field, check);
  return kept.some((item, index) => item !== value[index]) ? kept : value;
}

/** Lists that are sets, or maps by some of their fields, must not hold the same thing twice. */
function checkUnique(
  schema: Schema,
  items: readonly unknown[],
  field: string,
  check: SchemaCheck,
): void {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const isObject = typeof item === 'object' && item !== null;
    const identity = isObject ? keyFields(schema, item, keys) : item;
    const text = (isObject ? Object.values(identity as object) : [item]).map(scalarText).join();
    if (seen.has(text)) check.report(duplicate(`${field}[${index}]`, identity));
    seen.add(text);
  }
}

/** Text that differs for different scalars; what is no scalar does not fit the schema anyway. */
function scalarText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' ? '' : String(value);
}

/** The fields that tell an item apart, defaults filled in. */
function keyFields(
  schema: Schema,
  item: object,
  keys: readonly string[],
): Readonly<Record<string, unknown>> {
  const fields = item as Readonly<Record<string, unknown>>;
  const fallback = (key: string) => schema.items?.properties?.[key]?.default ?? null;
  return Object.fromEntries(keys.map((key) => [key, fields[key] ?? fallback(key)]));
}

function checkObject(
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
  field: string,
  check: SchemaCheck,
): Readonly<Record<string, unknown>> {
  const kept: [string, unknown][] = [];
  let changed = false;
  for (const [key, member] of Object.entries(value)) {
    const result = checkMember(schema, key, member, field, check);
    if (result !== undefined) kept.push([key, result]);
    changed ||= result !== member;
  }
  for (const name of schema.required ?? []) {
    if (!kept.some(([key]) => key === name)) check.report(required(memberPath(field, name)));
  }
  checkSize(schema, kept.length, field, check);
  // Not by assignment: a key may be `__proto__`.
  return changed ? Object.fromEntries(kept) : value;
}

function checkSize(schema: Schema, size: number, field: string, check: SchemaCheck): void {
  const { minProperties, maxProperties } = schema;
  if (minProperties !== undefined && size < minProperties) {
    check.report(
      invalid(field, size, `${field} in body should have at least ${minProperties} properties`),
    );
  }
  if (maxProperties !== undefined && size > maxProperties) {
    check.report(tooMany(field, size, maxProperties));
  }
}

function memberPath(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`;
}

/** The member as it is kept; undefined = left out. */
function checkMember(
  schema: Schema,
  key: string,
  value: unknown,
  field: string,
  check: SchemaCheck,
): unknown {
  const { properties, additionalProperties } = schema;
  if (properties !== undefined && Object.hasOwn(properties, key)) {
    const member = properties[key] as Schema;
    // As in Kubernetes, a null says that the field is left out, unless null means something.
    if (value === null || value === undefined) return member.nullable ? value : undefined;
    return checkSchema(member, value, memberPath(field, key), check);
  }
  if (additionalProperties !== undefined) {
    return checkSchema(additionalProperties, value, `${field}[${key}]`, check);
  }
  if (schema['x-kubernetes-preserve-unknown-fields']) return value;
  const near = check.full ? undefined : nearField(schema, key);
  const remedy = near && `did you mean "${memberPath(field, near)}"?`;
  check.report(unknownField(memberPath(field, key), check.unknownFields, remedy));
  return undefined;
}

/**
 * Tells everything about `value` that does not fit the schema, in the words of a Kubernetes API
 * server, and gives back what is kept of it: nulls of fields that know no null, and unknown fields,
 * are left out. The same value comes back when nothing was left out. Cost grows with the size of
 * the value; depth is bounded by the schema's.
 */
export function checkSchema(
  schema: Schema,
  value: unknown,
  field: string,
  check: SchemaCheck,
): unknown {
  const found = typeOf(value);
  if (value === null && schema.nullable) return value;
  if (!fitsType(schema, found)) {
    const wanted = schema.type ?? 'integer,string';
    const unquoted = wanted === 'string' && !['object', 'array', 'null'].includes(found);
    check.report(wrongType(field, wanted, found, unquoted ? 'write it in quotes' : undefined));
    return value;
  }
  if (typeof value === 'string') checkString(schema, value, field, check);
  else if (typeof value === 'number') checkNumber(schema, value, field, check);
  else if (Array.isArray(value)) return checkList(schema, value, field, check);
  else if (found === 'object') {
    return checkObject(schema, value as Readonly<Record<string, unknown>>, field, check);
  }
  return value;
}
