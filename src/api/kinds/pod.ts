import { ageColumn, fieldColumn } from '#api/columns.ts';
import { forbidden } from '#api/field-error.ts';
import { defineKind } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { object, type Schema, text, type ValueOf } from '#api/schema.ts';

/** Known fields that are looked at; the others are kept as they come. */
function partly<S extends Schema>(schema: S): S {
  return { ...schema, 'x-kubernetes-preserve-unknown-fields': true };
}

const spec = partly(
  object('What runs, where and as whom.', {
    nodeName: text('The node that it runs on.', { maxLength: 253 }),
    serviceAccountName: text('Its service account; `default` when left out.', { maxLength: 253 }),
  }),
);

const status = partly(
  object('Its state, as whoever runs it says.', {
    phase: text('`Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.'),
    podIP: text('Its address.'),
  }),
);

/**
 * Kubernetes' Pod (core v1). Nothing is started by it here: whoever runs workloads says with it
 * what runs on which node, and tokens are bound to it.
 */
export interface Pod extends ApiObject {
  readonly spec?: ValueOf<typeof spec>;
  readonly status?: ValueOf<typeof status>;
}

/** Pod. */
export const pod = defineKind<Pod>({
  group: '',
  versions: ['v1'],
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'Says what runs on which node, and as whom; this server starts nothing by it.',
  fields: { spec, status },
  columns: [
    fieldColumn('Status', '.status.phase', 'Its state.'),
    ageColumn,
    fieldColumn('Node', '.spec.nodeName', 'The node that it runs on.'),
  ],
  checkChange({ spec: before = {} }, { spec: after = {} }, report) {
    const detail = 'pod updates may not change this field';
    if (before.nodeName !== undefined && before.nodeName !== after.nodeName)
      report(forbidden('spec.nodeName', detail));
    if (before.serviceAccountName !== after.serviceAccountName)
      report(forbidden('spec.serviceAccountName', detail));
  },
});
