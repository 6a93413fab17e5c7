import { ageColumn } from '#api/columns.ts';
import { invalid } from '#api/field-error.ts';
import { defineKind } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, list, object, text, type ValueOf } from '#api/schema.ts';

const spec = object('Wanted state of the namespace.', {
  finalizers: list('Who must agree before the namespace goes.', text('A name.'), {
    'x-kubernetes-list-type': 'atomic',
  }),
});

const status = object('State of the namespace.', {
  phase: choice('Terminating once deletion has begun.', ['Active', 'Terminating']),
  conditions: list(
    'Findings about its deletion.',
    object('One finding.', {
      type: text('What it is about.'),
      status: text('`True`, `False` or `Unknown`.'),
      reason: text('Why, in one word.'),
      message: text('Why, in a sentence.'),
      lastTransitionTime: text('When `status` last changed.', { format: 'date-time' }),
    }),
    {
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'type',
    },
  ),
});

/** Kubernetes' Namespace (core v1). */
export interface Namespace extends ApiObject {
  readonly spec?: ValueOf<typeof spec>;
  readonly status?: ValueOf<typeof status>;
}

/** Label by which selectors find a namespace by its name; every namespace has it. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Namespace. */
export const namespace = defineKind<Namespace>({
  group: '',
  versions: ['v1'],
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  statusSubresource: true,
  nameRule: 'label',
  description: 'Holds the objects of one team or application.',
  fields: { spec, status },
  columns: [
    {
      name: 'Status',
      type: 'string',
      description: 'Terminating once deletion has begun.',
      priority: 0,
      value: ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined ? (status?.phase ?? 'Active') : 'Terminating',
    },
    ageColumn,
  ],
  check(object, report) {
    for (const finalizer of object.spec?.finalizers ?? []) {
      if (finalizer === 'kubernetes' || finalizer.includes('/')) continue;
      const detail = 'name is neither a standard finalizer name nor is it fully qualified';
      report(invalid('spec.finalizers', finalizer, detail));
    }
  },
  defaults(object) {
    const { metadata } = object;
    if (metadata.labels?.[NAME_LABEL] === metadata.name) return object;
    const labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
    return { ...object, metadata: { ...metadata, labels } };
  },
});
