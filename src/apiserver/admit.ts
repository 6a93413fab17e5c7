import type { Diagnostic } from '#api/diagnostic.ts';
import type { KindDefinition } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { validateObject } from '#api/validate.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import type { WriteOptions } from '#apiserver/query.ts';
import { type ApiError, badRequest, invalid } from '#apiserver/status.ts';

/** An object that may be stored, and what the client should be warned of. */
export interface Admitted {
  readonly object: ApiObject;
  readonly warnings: readonly string[];
}

/** Finds what is wrong with an object that fits its kind. */
export type ObjectCheck = (object: ApiObject) => readonly Diagnostic[];

export interface AdmitOptions {
  readonly kind: KindDefinition;
  /** Version in the path. */
  readonly version: string;
  readonly fieldValidation: WriteOptions['fieldValidation'];
  /** Paths of fields that the body had twice. */
  readonly duplicates: readonly string[];
  /** What this server minds beyond the rules of the kind; nothing when left out. */
  readonly check?: ObjectCheck | undefined;
  /** Makes the error for fields that a strict client does not want to be ignored. */
  readonly strictError: (problems: readonly string[]) => ApiError;
}

/** Prefix of errors about a body that does not decode as the kind. */
export function cannotBeHandled(kind: string, apiVersion: unknown, as: string): string {
  const version = String(apiVersion).split('/').at(-1);
  return `${kind} in version "${version}" cannot be handled as a ${as}`;
}

/**
 * Why a body of one kind is no other; Kubernetes calls the core group `core` there, others by their
 * first word.
 */
export function unknownConversion(
  apiVersion: unknown,
  kind: unknown,
  to: Pick<KindDefinition, 'group' | 'kind'>,
): string {
  const [group] = to.group === '' ? ['core'] : to.group.split('.');
  const from = String(apiVersion).replaceAll('/', '.');
  return `converting (${from}.${kind}) to (${group}.${to.kind}): unknown conversion`;
}

/** The refusal of unknown and repeated fields in a whole object. */
export function strictDecodingError(kind: KindDefinition, version: string) {
  return (problems: readonly string[]): ApiError =>
    badRequest(
      `${cannotBeHandled(kind.kind, version, kind.kind)}: strict decoding error: ${problems.join(', ')}`,
    );
}

/**
 * The body with apiVersion and kind filled in from the path when it has none, which Kubernetes
 * allows.
 * @throws ApiError 400 when it says that it is something else
 */
export function asKind(body: JsonObject, kind: KindDefinition, version: string): JsonObject {
  const expected = kind.group === '' ? version : `${kind.group}/${version}`;
  const apiVersion = body.apiVersion ?? '';
  const name = body.kind ?? '';
  if (apiVersion === '' && name === '') return { ...body, apiVersion: expected, kind: kind.kind };
  const served = kind.versions.map((other) =>
    kind.group === '' ? other : `${kind.group}/${other}`,
  );
  if (name !== '' && name !== kind.kind) {
    throw badRequest(
      `${cannotBeHandled(String(name), apiVersion, kind.kind)}: ${unknownConversion(apiVersion, name, kind)}`,
    );
  }
  if (apiVersion !== '' && !served.includes(String(apiVersion))) {
    throw badRequest(
      `${cannotBeHandled(kind.kind, apiVersion, kind.kind)}: no kind "${kind.kind}" is registered for version "${apiVersion}"`,
    );
  }
  return { ...body, apiVersion: apiVersion || expected, kind: kind.kind };
}

/**
 * Checks a whole object, and fills in its defaults.
 * @throws ApiError 400 (does not decode, or strict) or 422 (invalid)
 */
export function admit(candidate: JsonObject, options: AdmitOptions): Admitted {
  const { kind, version, fieldValidation, duplicates } = options;
  const unknownFields = fieldValidation === 'Strict' ? 'error' : 'warning';
  const { object, diagnostics } = validateObject(candidate, { unknownFields });
  const minded = object ? (options.check?.(object) ?? []) : [];
  const errors = [...diagnostics, ...minded].filter(({ severity }) => severity === 'error');
  const wrongType = errors.find(({ reason }) => reason === 'FieldValueTypeInvalid');
  if (wrongType && !kind.custom) throw decodingError(wrongType, kind, version);
  const doubled = duplicates.map((path) => `duplicate field "${path}"`);
  const unknown = errors.filter(({ reason }) => reason === 'FieldUnknown');
  const strict = [...doubled, ...unknown.map(({ message }) => message)];
  if (fieldValidation === 'Strict' && strict.length > 0) throw options.strictError(strict);
  if (errors.length > 0 || !object) {
    throw invalid({ group: kind.group, name: kind.kind }, nameOf(candidate), errors);
  }
  const warnings = diagnostics
    .filter(({ reason }) => fieldValidation !== 'Ignore' || reason !== 'FieldUnknown')
    .map(warningText);
  return {
    object: withoutEmpty(kind.defaults?.(object) ?? object, kind),
    warnings: fieldValidation === 'Warn' ? [...doubled, ...warnings] : warnings,
  };
}

/** Members that say nothing when they are empty, and are not kept then. */
const EMPTY_METADATA = ['labels', 'annotations', 'finalizers', 'ownerReferences'];
const EMPTY_MAPS = ['data', 'binaryData'];

function withoutEmpty(object: ApiObject, { custom }: KindDefinition): ApiObject {
  const metadata = withoutMembers(object.metadata, EMPTY_METADATA);
  const rest = custom ? object : withoutMembers(object, EMPTY_MAPS);
  return metadata === object.metadata ? rest : { ...rest, metadata };
}

function withoutMembers<T extends object>(value: T, names: readonly string[]): T {
  const isEmpty = ([name, member]: [string, unknown]): boolean =>
    names.includes(name) && isEmptyCollection(member);
  if (!Object.entries(value).some(isEmpty)) return value;
  return Object.fromEntries(Object.entries(value).filter((entry) => !isEmpty(entry))) as T;
}

function isEmptyCollection(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function warningText({ reason, field, message, remedy }: Diagnostic): string {
  // What Kubernetes says of unknown fields, others read.
  if (reason === 'FieldUnknown') return message;
  return `${field === '' ? '' : `${field}: `}${message}${remedy ? ` (${remedy})` : ''}`;
}

function nameOf({ metadata }: JsonObject): string {
  return isObject(metadata) && typeof metadata.name === 'string' ? metadata.name : '';
}

/**
 * A built-in kind whose body has a wrong type somewhere does not even decode: 400, in the words of
 * Go.
 */
function decodingError({ field, message }: Diagnostic, kind: KindDefinition, version: string) {
  const [, found = '', wanted = ''] = /"([^"]*)": .* must be of type ([^:]+)/.exec(message) ?? [];
  const path = field.replaceAll(/\[[^\]]*\]/g, '');
  const what =
    wanted === 'byte'
      ? `illegal base64 data at field ${path}`
      : `json: cannot unmarshal ${goType(found)} into Go struct field ${kind.kind}.${path} of type ${wanted}`;
  return badRequest(`${cannotBeHandled(kind.kind, version, kind.kind)}: ${what}`);
}

function goType(found: string): string {
  if (found === 'boolean') return 'bool';
  return found === 'integer' ? 'number' : found;
}
