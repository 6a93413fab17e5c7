import { checkSchema, type SchemaCheck } from '#api/check-schema.ts';
import { type Diagnostic, hasErrors } from '#api/diagnostic.ts';
import { invalid, required, warning, wrongType } from '#api/field-error.ts';
import type { KindDefinition } from '#api/kind.ts';
import { KINDS, kindOf } from '#api/kinds.ts';
import { checkMetadata } from '#api/metadata.ts';
import { nearName } from '#api/near-name.ts';
import type { ApiObject } from '#api/object.ts';
import { typographicTexts } from '#api/typographic-quotes.ts';
import { LIMITS } from '#base/limits.ts';

/** How strict `validateObject` is. */
export interface ValidateOptions {
  /** Unknown fields refuse the object (default), or are left out of it with a warning. */
  readonly unknownFields?: 'error' | 'warning';
}

/** What `validateObject` found. */
export interface Validation {
  /** The object without nulls and unknown fields; absent when it is refused. */
  readonly object?: ApiObject;
  /** Its kind, when it is known. */
  readonly kind?: KindDefinition;
  /** Errors, if it is refused, and warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Takes diagnostics up to the limit and counts the rest. */
class Findings implements SchemaCheck {
  readonly unknownFields: 'error' | 'warning';
  readonly diagnostics: Diagnostic[] = [];
  #left = 0;

  constructor(unknownFields: 'error' | 'warning') {
    this.unknownFields = unknownFields;
  }

  get full(): boolean {
    return this.diagnostics.length >= LIMITS.diagnosticsPerObjectMax;
  }

  readonly report = (diagnostic: Diagnostic): void => {
    // An error must not get lost behind warnings: it decides whether the object is taken.
    if (!this.full || (diagnostic.severity === 'error' && !hasErrors(this.diagnostics))) {
      this.diagnostics.push(diagnostic);
    } else this.#left += 1;
  };

  finish(): readonly Diagnostic[] {
    if (this.#left === 0) return this.diagnostics;
    return [...this.diagnostics, warning('', `${this.#left} more findings are not shown`)];
  }
}

/** Why no kind fits, and the kind that may be meant. */
function unknownKind(apiVersion: string, kind: string): Diagnostic {
  const known = KINDS.find((definition) => definition.kind === kind);
  const near =
    known?.kind ??
    nearName(
      kind,
      KINDS.map((definition) => definition.kind),
    );
  const served = KINDS.find((definition) => definition.kind === near);
  const versions = served?.versions.map((version) =>
    served.group === '' ? version : `${served.group}/${version}`,
  );
  return {
    severity: 'error',
    field: known === undefined ? 'kind' : 'apiVersion',
    message: `no matches for kind "${kind}" in version "${apiVersion}"`,
    reason: 'KindUnknown',
    ...(versions === undefined
      ? {}
      : { remedy: `did you mean "${near}" in version ${versions.join(', ')}?` }),
  };
}

/** The kind of an object, or what is wrong with its apiVersion or kind. */
function findKind(object: Readonly<Record<string, unknown>>): KindDefinition | Diagnostic {
  const { apiVersion, kind } = object;
  if (kind === undefined || kind === null || kind === '') return required('kind');
  if (typeof kind !== 'string') return wrongType('kind', 'string', typeof kind);
  if (apiVersion === undefined || apiVersion === null || apiVersion === '') {
    return required('apiVersion');
  }
  if (typeof apiVersion !== 'string') return wrongType('apiVersion', 'string', typeof apiVersion);
  return kindOf(apiVersion, kind) ?? unknownKind(apiVersion, kind);
}

/**
 * Checks an object of unknown form against its kind: known kind, schema, metadata, then the rules
 * of the kind (those only when the schema fits). Never throws, whatever it is given; work and
 * findings are bounded by its size.
 */
export function validateObject(object: unknown, options: ValidateOptions = {}): Validation {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    const detail = 'must be an object with apiVersion, kind and metadata';
    return { diagnostics: [invalid('', object, detail)] };
  }
  const kind = findKind(object as Readonly<Record<string, unknown>>);
  if ('severity' in kind) {
    const { apiVersion, kind: named } = object as Readonly<Record<string, unknown>>;
    const quoted = typographicTexts({ apiVersion, kind: named });
    return { diagnostics: quoted.length > 0 ? quoted : [kind] };
  }
  const findings = new Findings(options.unknownFields ?? 'error');
  const kept = checkSchema(kind.schema, object, '', findings) as ApiObject;
  // What else is wrong with these texts mostly follows from their quotes.
  const quoted = typographicTexts({ spec: (kept as { readonly spec?: unknown }).spec });
  if (quoted.length > 0) return { kind, diagnostics: quoted };
  if (!hasErrors(findings.diagnostics)) {
    const whole = kept.metadata ? kept : { ...kept, metadata: { name: '' } };
    checkMetadata(whole.metadata, kind, findings.report);
    kind.check?.(whole, findings.report);
  }
  const diagnostics = findings.finish();
  return hasErrors(diagnostics) ? { kind, diagnostics } : { object: kept, kind, diagnostics };
}

/**
 * Checks what a change from `before` to `after` may not do to objects of this kind. Both are valid
 * by themselves and have the same name.
 */
export function validateChange(
  kind: KindDefinition,
  before: ApiObject,
  after: ApiObject,
): readonly Diagnostic[] {
  const findings = new Findings('error');
  kind.checkChange?.(before, after, findings.report);
  return findings.finish();
}
