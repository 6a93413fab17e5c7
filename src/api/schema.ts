declare const valueType: unique symbol;

/** A JSON value, as documents and the API carry it. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Bounds and notes of a field, beside type and description; the names are those of OpenAPI v3. */
interface Constraints {
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  /** Null is a value of its own here; elsewhere a null means that the field is left out. */
  readonly nullable?: true;
  /** What the server fills in when the field is left out. */
  readonly default?: JsonValue;
  /** How the parts of a list are told apart when two writers change it (server-side apply). */
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  /**
   * What a strategic merge patch (kubectl apply) does with a list, and what tells its parts apart.
   */
  readonly 'x-kubernetes-patch-strategy'?: 'merge' | 'replace';
  readonly 'x-kubernetes-patch-merge-key'?: string;
}

/**
 * One node of a structural OpenAPI v3 schema: plain JSON, so it is served, put into CRDs and
 * explained as it is. `T` is the TypeScript type of the values it accepts; it exists for the
 * compiler only.
 */
export interface Schema<T = unknown> extends Constraints {
  readonly [valueType]?: T;
  readonly description: string;
  /** Absent only where a value is an integer or a string. */
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly 'x-kubernetes-int-or-string'?: true;
  /** Keys that are not in `properties` are kept and not looked at. */
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
}

/** The TypeScript type of the values that a schema accepts. */
export type ValueOf<S> = S extends Schema<infer T> ? T : never;

type Properties = Readonly<Record<string, Schema>>;

type ObjectValue<P extends Properties, R extends keyof P> = {
  readonly [K in R]: ValueOf<P[K]>;
} & { readonly [K in Exclude<keyof P, R>]?: ValueOf<P[K]> };

/** A string. */
export function text(description: string, constraints: Constraints = {}): Schema<string> {
  return { description, type: 'string', ...constraints };
}

/** One of a closed set of words. */
export function choice<const T extends string>(
  description: string,
  values: readonly T[],
  constraints: Constraints = {},
): Schema<T> {
  return { description, type: 'string', enum: values, ...constraints };
}

/** A whole number. */
export function integer(description: string, constraints: Constraints = {}): Schema<number> {
  return { description, type: 'integer', ...constraints };
}

/** A number that need not be whole. */
export function decimal(description: string, constraints: Constraints = {}): Schema<number> {
  return { description, type: 'number', ...constraints };
}

/** True or false. */
export function flag(description: string, constraints: Constraints = {}): Schema<boolean> {
  return { description, type: 'boolean', ...constraints };
}

/** A whole number or a string: a port by number or by name. */
export function integerOrText(description: string): Schema<number | string> {
  return { description, 'x-kubernetes-int-or-string': true };
}

/** A list. */
export function list<T>(
  description: string,
  items: Schema<T>,
  constraints: Constraints = {},
): Schema<readonly T[]> {
  return { description, type: 'array', items, ...constraints };
}

/** A map from strings of the user's choice. */
export function map<T>(
  description: string,
  values: Schema<T>,
  constraints: Constraints = {},
): Schema<Readonly<Record<string, T>>> {
  return { description, type: 'object', additionalProperties: values, ...constraints };
}

/** An object of known fields; a field is optional unless `required` names it. */
export function object<const P extends Properties, const R extends keyof P & string = never>(
  description: string,
  properties: P,
  constraints: Constraints & { readonly required?: readonly R[] } = {},
): Schema<ObjectValue<P, R>> {
  return { description, type: 'object', properties, ...constraints };
}

/** An object whose content is kept as it is. */
export function anyObject(description: string): Schema<{ readonly [key: string]: JsonValue }> {
  return { description, type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
}
