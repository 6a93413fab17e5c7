import { ageColumn, fieldColumn } from '#api/columns.ts';
import { duplicate, forbidden, invalid } from '#api/field-error.ts';
import { isHostLabel, wildcardHostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkExportTo, exportTo } from '#api/kinds/export-to.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { trafficPolicy } from '#api/kinds/traffic-policy.ts';
import { checkTrafficPolicy } from '#api/kinds/traffic-policy-rules.ts';
import { checkSelector, labelSelector } from '#api/kinds/workload-target.ts';
import { checkLabels } from '#api/metadata.ts';
import type { ApiObject } from '#api/object.ts';
import { list, map, object, text, type ValueOf } from '#api/schema.ts';

const subset = object(
  'A named part of the endpoints, such as a version.',
  {
    name: text('Name of the subset.'),
    labels: map('Labels that an endpoint of the subset has.', text('The value of the label.')),
    trafficPolicy,
  },
  { required: ['name'] },
);

const spec = object(
  'How traffic to a service is handled after routing.',
  {
    host: text('Name of the service; short names are taken in the namespace of the object.'),
    trafficPolicy,
    subsets: list('Parts of the endpoints.', subset),
    exportTo,
    workloadSelector: { ...labelSelector, description: 'The calling workloads that it is for.' },
  },
  { required: ['host'] },
);

/** What a DestinationRule says. */
export interface DestinationRuleSpec extends ValueOf<typeof spec> {}

/** Istio's DestinationRule (networking.istio.io v1, v1beta1, v1alpha3). */
export interface DestinationRule extends ApiObject {
  readonly spec: DestinationRuleSpec;
  readonly status?: IstioStatus;
}

function check(object: DestinationRule, report: Report): void {
  const {
    host,
    trafficPolicy: policy,
    subsets,
    exportTo: namespaces,
    workloadSelector,
  } = object.spec;
  const problem = wildcardHostProblem(host);
  if (problem !== undefined) report(invalid('spec.host', host, problem));
  if (policy !== undefined) checkTrafficPolicy(policy, 'spec.trafficPolicy', report);
  const names = new Set<string>();
  for (const [index, part] of (subsets ?? []).entries()) {
    const field = `spec.subsets[${index}]`;
    if (names.has(part.name)) report(duplicate(`${field}.name`, part.name));
    names.add(part.name);
    if (!isHostLabel(part.name)) {
      report(invalid(`${field}.name`, part.name, 'must be a DNS label'));
    }
    checkLabels(part.labels ?? {}, `${field}.labels`, report);
    if (part.trafficPolicy !== undefined) {
      checkTrafficPolicy(part.trafficPolicy, `${field}.trafficPolicy`, report);
    }
  }
  checkExportTo(namespaces ?? [], object.metadata.namespace ?? '', report);
  checkSelector(workloadSelector, 'spec.workloadSelector', report);
  if (workloadSelector !== undefined) checkOwnNamespace(object, report);
}

/**
 * A rule for some callers only must not reach callers of other namespaces, where its selector says
 * nothing.
 */
function checkOwnNamespace(object: DestinationRule, report: Report): void {
  const own = ['.', object.metadata.namespace];
  const { exportTo: namespaces = [] } = object.spec;
  if (namespaces.every((namespace) => own.includes(namespace))) return;
  const detail = 'with a workloadSelector the rule is for its own namespace only';
  report(forbidden('spec.exportTo', detail, 'write `.` or leave it out'));
}

/** DestinationRule. */
export const destinationRule = defineIstioKind<DestinationRule>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'DestinationRule',
  plural: 'destinationrules',
  shortNames: ['dr'],
  description: 'How traffic to a service is handled after routing: TLS, subsets, load balancing.',
  spec,
  specRequired: true,
  columns: [fieldColumn('Host', '.spec.host', 'Name of the service.'), ageColumn],
  check,
});
