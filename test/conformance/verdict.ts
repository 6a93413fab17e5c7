import { hasErrors } from '#api/diagnostic.ts';
import { KINDS } from '#api/kinds.ts';
import { validateObject } from '#api/validate.ts';

/** What our validation says about an object. */
export interface Verdict {
  readonly valid: boolean;
  /** What is wrong, as the API server says it. */
  readonly text: string;
}

/** Kinds that the README of the data puts out of scope. */
const OUT_OF_SCOPE: ReadonlySet<unknown> = new Set([
  'EnvoyFilter',
  'WasmPlugin',
  'Telemetry',
  'TrafficExtension',
]);

/** Whether objects of this kind are not for us. */
export function isOutOfScope(kind: unknown): boolean {
  return OUT_OF_SCOPE.has(kind);
}

/** Whether there is such a kind here, in whatever version. */
export function isKnownKind(kind: unknown): boolean {
  return KINDS.some((known) => known.kind === kind);
}

/**
 * Schema and rules together, as the API server has them for `kubectl apply`: unknown fields are an
 * error. Fields that are undefined are left out.
 */
export function verdictOf(object: unknown): Verdict {
  const { diagnostics } = validateObject(JSON.parse(JSON.stringify(object)));
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  return {
    valid: !hasErrors(diagnostics),
    text: errors.map(({ field, message }) => `${field}: ${message}`).join('; '),
  };
}
