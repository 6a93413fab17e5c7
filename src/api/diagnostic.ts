/**
 * Something wrong in what a user wrote. A value, never thrown: it goes to the API's answer, to the object's status
 * and to `analyze`.
 */
export interface Diagnostic {
  readonly severity: 'error' | 'warning' | 'info';
  /** Path of the field from the object's root, as Kubernetes writes it: `spec.rules[0].to[1].operation.ports[0]`. */
  readonly field: string;
  /** What is wrong and what is accepted: one sentence. */
  readonly message: string;
}
