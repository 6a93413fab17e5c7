import { ageColumn } from '#api/columns.ts';
import { forbidden, unsupported } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import type { IstioKind } from '#api/kinds/istio-kind.ts';
import type { ApiObject } from '#api/object.ts';

/** What the kinds of Mixer have in common. */
export const mixerKind = {
  group: 'config.istio.io',
  versions: ['v1alpha2'],
  shortNames: [],
  columns: [ageColumn],
} as const satisfies Partial<IstioKind<ApiObject>>;

/** Refuses fields of `spec` that are for adapters outside of Mixer. */
export function refuseProcesses(fields: Readonly<Record<string, unknown>>, report: Report): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined)
      report(forbidden(`spec.${name}`, 'adapters in processes of their own are not supported'));
  }
}

/** Refuses an adapter or a template that is not one of access control; true when it is one. */
export function isOfAccessControl(
  field: string,
  name: string,
  known: readonly string[],
  report: Report,
): boolean {
  if (known.includes(name)) return true;
  const remedy = 'of Mixer there is access control only, no telemetry and no quotas';
  report(unsupported(field, name, known, remedy));
  return false;
}
