import type { Diagnostic, DiagnosticReason } from '#api/diagnostic.ts';

/** Characters of a user's value that a message repeats. */
const VALUE_LENGTH_MAX = 400;

/** A value as a message shows it: JSON, cut when it is long; its type when it is no JSON value. */
function shown(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? typeof value;
  } catch {
    text = typeof value;
  }
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}

function error(
  reason: DiagnosticReason,
  field: string,
  message: string,
  remedy?: string,
): Diagnostic {
  return { severity: 'error', field, message, reason, ...(remedy === undefined ? {} : { remedy }) };
}

/** The field must be there. */
export function required(field: string, detail?: string): Diagnostic {
  const message = detail === undefined ? 'Required value' : `Required value: ${detail}`;
  return error('FieldValueRequired', field, message);
}

/** The value is not acceptable; it is repeated in the message, so never use this for secrets. */
export function invalid(
  field: string,
  value: unknown,
  detail: string,
  remedy?: string,
): Diagnostic {
  return error('FieldValueInvalid', field, `Invalid value: ${shown(value)}: ${detail}`, remedy);
}

/** The value breaks a rule that concerns more than one field, or must not be repeated. */
export function violates(field: string, rule: string, remedy?: string): Diagnostic {
  return error('FieldValueInvalid', field, `Invalid value: ${rule}`, remedy);
}

/** The value is none of a closed set. */
export function unsupported(
  field: string,
  value: unknown,
  supported: readonly string[],
  remedy?: string,
): Diagnostic {
  const accepted = supported.map((word) => `"${word}"`).join(', ');
  const message = `Unsupported value: ${shown(value)}: supported values: ${accepted}`;
  return error('FieldValueNotSupported', field, message, remedy);
}

/** The value is there twice. */
export function duplicate(field: string, value: unknown): Diagnostic {
  return error('FieldValueDuplicate', field, `Duplicate value: ${shown(value)}`);
}

/** The field must not be there. */
export function forbidden(field: string, detail: string, remedy?: string): Diagnostic {
  return error('FieldValueForbidden', field, `Forbidden: ${detail}`, remedy);
}

/** The value has more bytes than allowed. */
export function tooLong(field: string, bytesMax: number): Diagnostic {
  return error('FieldValueTooLong', field, `Too long: may not be more than ${bytesMax} bytes`);
}

/** The list has more items than allowed. */
export function tooMany(field: string, count: number, countMax: number): Diagnostic {
  return error(
    'FieldValueTooMany',
    field,
    `Too many: ${count}: must have at most ${countMax} items`,
  );
}

/** The value is of another type; only the type is repeated. */
export function wrongType(
  field: string,
  wanted: string,
  found: string,
  remedy?: string,
): Diagnostic {
  const message = `Invalid value: "${found}": ${field} in body must be of type ${wanted}: "${found}"`;
  return error('FieldValueTypeInvalid', field, message, remedy);
}

/** The kind has no such field. */
export function unknownField(
  field: string,
  severity: 'error' | 'warning',
  remedy?: string,
): Diagnostic {
  return { ...error('FieldUnknown', field, `unknown field "${field}"`, remedy), severity };
}

/** Something that is accepted but is hardly what the user means. */
export function warning(field: string, message: string, remedy?: string): Diagnostic {
  return { severity: 'warning', field, message, ...(remedy === undefined ? {} : { remedy }) };
}
