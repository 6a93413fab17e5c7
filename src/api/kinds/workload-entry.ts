import { ageColumn, fieldColumn } from '#api/columns.ts';
import { checkWorkloadEntry } from '#api/kinds/endpoint-rules.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { checkProxyConfig } from '#api/mesh-config.ts';
import type { ApiObject } from '#api/object.ts';
import { integer, map, object, text, type ValueOf } from '#api/schema.ts';

/**
 * Istio's WorkloadEntry message, also used as ServiceEntry endpoints and as WorkloadGroup template.
 */
export const workloadEntrySpec = object('One instance of a workload outside Kubernetes.', {
  address: text('IP address, DNS name, or `unix:///path`; may be left out when `network` is set.', {
    maxLength: 256,
  }),
  ports: map(
    'Ports of the workload by the port names of the service.',
    integer('Port number.', { minimum: 0, maximum: 4_294_967_295 }),
    { maxProperties: 128 },
  ),
  labels: map('Labels that selectors look for.', text('The value of the label.'), {
    maxProperties: 256,
  }),
  network: text('Network that the address belongs to.', { maxLength: 2048 }),
  locality: text('`region/zone/subzone`.', { maxLength: 2048 }),
  weight: integer('Share of the traffic among the endpoints of a service.', {
    minimum: 0,
    maximum: 4_294_967_295,
  }),
  serviceAccount: text('Service account of the workload, in the namespace of the object.', {
    maxLength: 253,
  }),
});

/** What a WorkloadEntry says. */
export interface WorkloadEntrySpec extends ValueOf<typeof workloadEntrySpec> {}

/** Istio's WorkloadEntry (networking.istio.io v1, v1beta1, v1alpha3). */
export interface WorkloadEntry extends ApiObject {
  readonly spec: WorkloadEntrySpec;
  readonly status?: IstioStatus;
}

/** WorkloadEntry. */
export const workloadEntry = defineIstioKind<WorkloadEntry>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'WorkloadEntry',
  plural: 'workloadentries',
  shortNames: ['we'],
  description: 'One instance of a workload that runs outside Kubernetes.',
  spec: workloadEntrySpec,
  specRequired: true,
  columns: [ageColumn, fieldColumn('Address', '.spec.address', 'Address of the workload.')],
  check: (object, report) => {
    checkProxyConfig(object.metadata.annotations, 'metadata.annotations', report);
    checkWorkloadEntry(object.spec, 'spec', report);
  },
});
