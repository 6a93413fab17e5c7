import { ageColumn, fieldColumn } from '#api/columns.ts';
import { defineKind } from '#api/kind.ts';
import { type IstioStatus, istioStatus } from '#api/kinds/istio-status.ts';
import { exportTo } from '#api/kinds/service-entry.ts';
import { trafficPolicy } from '#api/kinds/traffic-policy.ts';
import { labelSelector } from '#api/kinds/workload-target.ts';
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

/** `spec.subsets[]`. */
export interface DestinationSubset extends ValueOf<typeof subset> {}
/** What a DestinationRule says. */
export interface DestinationRuleSpec extends ValueOf<typeof spec> {}

/** Istio's DestinationRule (networking.istio.io v1, v1beta1, v1alpha3). */
export interface DestinationRule extends ApiObject {
  readonly spec: DestinationRuleSpec;
  readonly status?: IstioStatus;
}

/** DestinationRule. */
export const destinationRule = defineKind<DestinationRule>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'DestinationRule',
  plural: 'destinationrules',
  shortNames: ['dr'],
  categories: ['istio-io', 'networking-istio-io'],
  namespaced: true,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'How traffic to a service is handled after routing: TLS, subsets, load balancing.',
  fields: { spec, status: istioStatus },
  requiredFields: ['spec'],
  columns: [fieldColumn('Host', '.spec.host', 'Name of the service.'), ageColumn],
});
