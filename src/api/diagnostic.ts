/**
 * What kind of wrong it is: Kubernetes' causes of a refusal (meta/v1 CauseType), and three of ours.
 */
export type DiagnosticReason =
  | 'FieldValueDuplicate'
  | 'FieldValueForbidden'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueRequired'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  /** The field is none of the kind's; Kubernetes refuses it before it validates (400, not 422). */
  | 'FieldUnknown'
  /** There is no such kind. */
  | 'KindUnknown'
  /** The text is no YAML or JSON, says something twice, or is over a limit. */
  | 'DocumentUnreadable';

/**
 * Something wrong in what a user wrote. A value, never thrown: it goes to the API's answer, to the
 * object's status and to `analyze`.
 */
export interface Diagnostic {
  readonly severity: 'error' | 'warning' | 'info';
  /** Path of the field from the object's root, as Kubernetes writes it: `spec.rules[0].to[1]`. */
  readonly field: string;
  /** What is wrong and what is accepted: one sentence. */
  readonly message: string;
  readonly reason?: DiagnosticReason;
  /** What the user can do about it, when that is more than the message says: one sentence. */
  readonly remedy?: string;
}

/** Whether the list holds an error; warnings and notes do not refuse an object. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === 'error');
}
