import type { ChangeRecord, FieldChange } from '#admin/audit.ts';
import type { ApiObject } from '#api/object.ts';
import { LIMITS } from '#base/limits.ts';

/** A change of an object by somebody. */
export interface ObjectChange {
  readonly caller: {
    readonly username: string;
    readonly groups: readonly string[];
    /** Who acted as this user. */
    readonly actor?: string;
  };
  readonly verb: ChangeRecord['verb'];
  readonly before?: ApiObject;
  readonly after?: ApiObject;
}

/** Fields that the server sets with every write. */
const OWN_METADATA = new Set([
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'managedFields',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
]);
/** kubectl keeps the whole object in there once more. */
const COPY_OF_OBJECT = 'kubectl.kubernetes.io/last-applied-configuration';
/** Fields of a Secret whose values are not written down. */
const SECRET_FIELDS = new Set(['data', 'stringData']);
const NOT_RECORDED = '"(not recorded)"';
/** Characters of the JSON of one value. */
const VALUE_LENGTH_MAX = 2048;

/** What a change made different, as a record. `at`: milliseconds since 1970. */
export function recordOfChange(change: ObjectChange, at: number): Omit<ChangeRecord, 'id'> {
  const { caller, verb, before, after } = change;
  const object = after ?? before;
  const fields = [...differences(before && shown(before), after && shown(after), '')];
  const kept = fields.slice(0, LIMITS.auditFieldsPerChangeMax);
  const hides = object?.kind === 'Secret';
  return {
    type: 'change',
    at: new Date(at).toISOString(),
    user: caller.username,
    groups: caller.groups,
    ...(caller.actor !== undefined && { actor: caller.actor }),
    verb,
    apiVersion: object?.apiVersion ?? '',
    kind: object?.kind ?? '',
    namespace: object?.metadata.namespace ?? '',
    name: object?.metadata.name ?? '',
    fields: hides ? kept.map(withoutSecret) : kept,
    fieldsLeftOut: fields.length - kept.length,
  };
}

type Json = Readonly<Record<string, unknown>>;

/** What users write. */
function shown(object: ApiObject): Json {
  const { apiVersion: _a, kind: _k, metadata, status: _s, ...rest } = object as ApiObject & Json;
  const { name: _n, namespace: _ns, annotations, ...others } = metadata;
  const { [COPY_OF_OBJECT]: _copy, ...notes } = annotations ?? {};
  const own = Object.entries(others).filter(([key]) => !OWN_METADATA.has(key));
  // What it does first: so many labels and annotations that a record is full do not hide that.
  return {
    ...rest,
    metadata: {
      ...Object.fromEntries(own),
      ...(Object.keys(notes).length > 0 && { annotations: notes }),
    },
  };
}

/** The smallest fields that differ. Depth is that of documents, which is bounded. */
function* differences(before: unknown, after: unknown, field: string): Generator<FieldChange> {
  if (isMap(before) && isMap(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      yield* differences(before[key], after[key], fieldOf(field, key));
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    for (let index = 0; index < Math.max(before.length, after.length); index += 1)
      yield* differences(before[index], after[index], `${field}[${index}]`);
    return;
  }
  // A new or removed object is told field by field of its top level.
  if (field === '' && (isMap(before) || isMap(after))) {
    yield* differences(isMap(before) ? before : {}, isMap(after) ? after : {}, field);
    return;
  }
  const [old, now] = [textOf(before), textOf(after)];
  if (old === now) return;
  yield {
    field,
    ...(old !== undefined && { before: bounded(old) }),
    ...(now !== undefined && { after: bounded(now) }),
  };
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keys of maps such as labels may hold dots. */
function fieldOf(parent: string, key: string): string {
  const isPlain = /^[A-Za-z_][\w-]*$/.test(key);
  if (!isPlain) return `${parent}[${JSON.stringify(key.slice(0, 256))}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

/** Nothing and an empty map are the same here. */
function textOf(value: unknown): string | undefined {
  if (value === undefined || (isMap(value) && Object.keys(value).length === 0)) return undefined;
  return JSON.stringify(value);
}

function bounded(text: string): string {
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text;
}

function withoutSecret(change: FieldChange): FieldChange {
  const top = /^[^.[]*/.exec(change.field)?.[0] ?? '';
  if (!SECRET_FIELDS.has(top)) return change;
  return {
    field: change.field,
    ...(change.before !== undefined && { before: NOT_RECORDED }),
    ...(change.after !== undefined && { after: NOT_RECORDED }),
  };
}
