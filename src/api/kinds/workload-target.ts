import { list, map, object, text, type ValueOf } from '#api/schema.ts';

/** Istio's WorkloadSelector of the security API (`type/v1beta1`): workloads by their labels. */
export const labelSelector = object('The workloads, in its namespace, that the object is for.', {
  matchLabels: map(
    'Labels that a workload must have, all of them. None = every workload of the namespace.',
    text('The value of the label; no wildcard.', { maxLength: 63 }),
    { maxProperties: 4096 },
  ),
});

/** Workloads by label; without labels every workload of the namespace (of the mesh in the root namespace). */
export interface LabelSelector extends ValueOf<typeof labelSelector> {}

/** Istio's PolicyTargetReference: a Gateway, Service or other object that a policy attaches to. */
export const targetReference = object(
  'An object in the same namespace that the policy attaches to.',
  {
    group: text('API group of the object; empty for the core group.', {
      maxLength: 253,
      pattern: '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
    }),
    kind: text('Kind of the object.', {
      minLength: 1,
      maxLength: 63,
      pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$',
    }),
    name: text('Name of the object.', { minLength: 1, maxLength: 253 }),
    namespace: text('Must be left out: references across namespaces are not supported.'),
  },
  { required: ['kind', 'name'] },
);

/** An object that a policy attaches to. */
export interface TargetReference extends ValueOf<typeof targetReference> {}

/** `targetRefs` of the policies that have it. */
export const targetReferences = list(
  'The objects that the policy attaches to; not together with `selector`.',
  targetReference,
  { maxItems: 16 },
);
