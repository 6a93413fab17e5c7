import { duplicate, invalid, violates } from '#api/field-error.ts';
import { isHostLabel } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { list, text } from '#api/schema.ts';

/** `exportTo` of the networking kinds: which namespaces see the object. */
export const exportTo = list(
  'Namespaces that see it: names, `.` for its own, `*` for all (when left out), `~` for none.',
  text('A namespace.'),
);

/**
 * Reports what is wrong with `spec.exportTo` of an object in `namespace`. `nobody` = `~` is
 * allowed, as in a ServiceEntry that only the proxies of its own workloads see.
 */
export function checkExportTo(
  values: readonly string[],
  namespace: string,
  report: Report,
  options: { readonly nobody?: true } = {},
): void {
  const seen = new Set<string>();
  for (const [index, value] of values.entries()) {
    const field = `spec.exportTo[${index}]`;
    const meant = value === '.' ? namespace : value;
    if (seen.has(meant)) report(duplicate(field, value));
    seen.add(meant);
    const word = value === '.' || value === '*' || (value === '~' && options.nobody);
    if (word || isHostLabel(value)) continue;
    report(invalid(field, value, 'must be a namespace, `.` (its own) or `*` (all)'));
  }
  if (values.length === 1) return;
  if (seen.has('*'))
    report(violates('spec.exportTo', '`*` means all namespaces, so name no others'));
  if (seen.has('~')) report(violates('spec.exportTo', '`~` means no namespace, so name no others'));
}
