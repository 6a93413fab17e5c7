import { forbidden, invalid, required, tooLong } from '#api/field-error.ts';
import type { KindDefinition, Report } from '#api/kind.ts';
import {
  labelProblems,
  labelValueProblems,
  objectNameProblems,
  qualifiedNameProblems,
} from '#api/names.ts';
import type { ObjectMeta } from '#api/object.ts';

const ANNOTATIONS_BYTES_MAX = 256 * 1024;
/** Finalizers that Kubernetes itself knows; all others carry the domain of their owner. */
const STANDARD_FINALIZERS: ReadonlySet<string> = new Set([
  'orphan',
  'foregroundDeletion',
  'kubernetes',
]);

function checkName(metadata: ObjectMeta, kind: KindDefinition, report: Report): void {
  const { name, generateName } = metadata;
  if (generateName !== undefined && generateName !== '') {
    // What the server appends is alphanumeric, so a dash at the end is fine.
    const sample = generateName.endsWith('-') ? `${generateName.slice(0, -1)}a` : generateName;
    for (const problem of objectNameProblems(sample, kind.nameRule)) {
      report(invalid('metadata.generateName', generateName, problem));
    }
  }
  if (name === undefined || name === '') {
    report(required('metadata.name', 'name or generateName is required'));
    return;
  }
  for (const problem of objectNameProblems(name, kind.nameRule)) {
    report(invalid('metadata.name', name, problem));
  }
}

function checkNamespace(metadata: ObjectMeta, kind: KindDefinition, report: Report): void {
  const { namespace } = metadata;
  if (namespace === undefined || namespace === '') return;
  if (!kind.namespaced) {
    report(forbidden('metadata.namespace', 'not allowed on this type'));
    return;
  }
  for (const problem of labelProblems(namespace)) {
    report(invalid('metadata.namespace', namespace, problem));
  }
}

/** Reports what is wrong with labels; `field` is where they are. */
export function checkLabels(
  labels: Readonly<Record<string, string>>,
  field: string,
  report: Report,
): void {
  for (const [key, value] of Object.entries(labels)) {
    for (const problem of qualifiedNameProblems(key)) report(invalid(field, key, problem));
    for (const problem of labelValueProblems(value)) report(invalid(field, value, problem));
  }
}

function checkAnnotations(annotations: Readonly<Record<string, string>>, report: Report): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    for (const problem of qualifiedNameProblems(key.toLowerCase())) {
      report(invalid('metadata.annotations', key, problem));
    }
  }
  if (bytes > ANNOTATIONS_BYTES_MAX) {
    report(tooLong('metadata.annotations', ANNOTATIONS_BYTES_MAX));
  }
}

function checkFinalizers(finalizers: readonly string[], report: Report): void {
  for (const [index, finalizer] of finalizers.entries()) {
    const field = `metadata.finalizers[${index}]`;
    const problems = qualifiedNameProblems(finalizer);
    for (const problem of problems) report(invalid(field, finalizer, problem));
    const standard = finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer);
    if (problems.length === 0 && !standard) {
      const detail = 'name is neither a standard finalizer name nor is it fully qualified';
      report(invalid(field, finalizer, detail));
    }
  }
}

/** Fields of an owner reference, none of which may be empty. */
const OWNER_FIELDS = ['apiVersion', 'kind', 'name', 'uid'] as const;

type Owner = Readonly<Partial<Record<(typeof OWNER_FIELDS)[number] | 'controller', unknown>>>;

function checkOwners(owners: readonly Owner[], report: Report): void {
  const field = 'metadata.ownerReferences';
  let controller: string | undefined;
  for (const owner of owners) {
    for (const name of OWNER_FIELDS) {
      if ((owner[name] ?? '') === '') report(invalid(`${field}.${name}`, '', 'must not be empty'));
    }
    if (owner.controller !== true) continue;
    const described = `${owner.kind}/${owner.name}`;
    if (controller !== undefined) {
      const detail =
        'Only one reference can have Controller set to true. Found "true" in references for ' +
        `${controller} and ${described}`;
      report(invalid(field, owners, detail));
    }
    controller ??= described;
  }
}

/**
 * Reports what is wrong with the metadata of an object whose metadata fits the schema. A namespace
 * may be missing: whoever holds the object knows which one is meant.
 */
export function checkMetadata(metadata: ObjectMeta, kind: KindDefinition, report: Report): void {
  checkName(metadata, kind, report);
  checkNamespace(metadata, kind, report);
  checkLabels(metadata.labels ?? {}, 'metadata.labels', report);
  checkAnnotations(metadata.annotations ?? {}, report);
  checkFinalizers(metadata.finalizers ?? [], report);
  checkOwners(metadata.ownerReferences ?? [], report);
}
