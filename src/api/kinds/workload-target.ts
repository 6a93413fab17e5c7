import { invalid, unsupported, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { list, map, object, text, type ValueOf } from '#api/schema.ts';

/** Istio's WorkloadSelector of the security API (`type/v1beta1`): workloads by their labels. */
export const labelSelector = object('The workloads, in its namespace, that the object is for.', {
  matchLabels: map(
    'Labels that a workload must have, all of them. None = every workload of the namespace.',
    text('The value of the label; no wildcard.', { maxLength: 63 }),
    { maxProperties: 4096 },
  ),
});

/**
 * Workloads by label; without labels every workload of the namespace (in the root one, of the
 * mesh).
 */
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

/** What a policy may attach to, `<kind>.<group>`. */
const TARGETS: readonly string[] = [
  'Service',
  'ServiceEntry.networking.istio.io',
  'Gateway.gateway.networking.k8s.io',
  'GatewayClass.gateway.networking.k8s.io',
];

/** Reports labels of a selector that cannot match; `field` is where the labels are. */
export function checkSelectorLabels(
  labels: Readonly<Record<string, string>>,
  field: string,
  report: Report,
): void {
  for (const [key, value] of Object.entries(labels)) {
    if (key === '') report(violates(field, 'key must not be empty'));
    if (key.includes('*')) report(invalid(field, key, 'wildcard not allowed in label key match'));
    if (value.includes('*')) {
      report(invalid(`${field}[${key}]`, value, 'wildcard not allowed in label value match'));
    }
  }
}

/** Reports what is wrong with a selector; one without labels is hardly meant. */
export function checkSelector(
  selector: LabelSelector | undefined,
  field: string,
  report: Report,
): void {
  if (selector === undefined) return;
  const labels = selector.matchLabels ?? {};
  checkSelectorLabels(labels, `${field}.matchLabels`, report);
  if (Object.keys(labels).length > 0) return;
  const message = 'a selector without labels selects every workload of the namespace';
  report(warning(field, message, 'leave the selector out if that is meant'));
}

function checkTarget(target: TargetReference, field: string, report: Report): void {
  const name = target.group ? `${target.kind}.${target.group}` : target.kind;
  if (!TARGETS.includes(name)) report(unsupported(field, name, TARGETS));
  if (target.namespace) {
    const detail = 'cross namespace referencing is not currently supported';
    report(invalid(`${field}.namespace`, target.namespace, detail));
  }
}

/** The parts of a policy's spec that say what it is for. */
export interface PolicyTarget {
  readonly selector?: LabelSelector;
  readonly targetRef?: TargetReference;
  readonly targetRefs?: readonly TargetReference[];
}

/** Reports what is wrong with the workloads or objects that a policy is for. */
export function checkPolicyTarget(spec: PolicyTarget, report: Report): void {
  const { selector, targetRef, targetRefs } = spec;
  const ways = [selector, targetRef, targetRefs?.length ? targetRefs : undefined];
  if (ways.filter((way) => way !== undefined).length > 1) {
    report(violates('spec', 'only one of targetRefs or selector can be set'));
  }
  checkSelector(selector, 'spec.selector', report);
  if (targetRef !== undefined) checkTarget(targetRef, 'spec.targetRef', report);
  for (const [index, target] of (targetRefs ?? []).entries()) {
    checkTarget(target, `spec.targetRefs[${index}]`, report);
  }
}
