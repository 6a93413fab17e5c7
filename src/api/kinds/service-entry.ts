import { ageColumn, fieldColumn } from '#api/columns.ts';
import { exportTo } from '#api/kinds/export-to.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { checkServiceEntry } from '#api/kinds/service-entry-rules.ts';
import { workloadEntrySpec } from '#api/kinds/workload-entry.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

const port = object(
  'One port of the service.',
  {
    number: integer('Port number that callers use.', { minimum: 0, maximum: 4_294_967_295 }),
    protocol: text('HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS …; found out when left out.', {
      maxLength: 256,
    }),
    name: text('Name of the port.', { maxLength: 256 }),
    targetPort: integer('Port of the endpoints; `number` when left out.', {
      minimum: 0,
      maximum: 4_294_967_295,
    }),
  },
  { required: ['number', 'name'] },
);

const spec = object(
  'A service that no Kubernetes Service describes.',
  {
    hosts: list('DNS names of the service; wildcard prefixes are allowed.', text('A name.'), {
      minItems: 1,
      maxItems: 256,
    }),
    addresses: list(
      'Virtual IP addresses or CIDR blocks.',
      text('An address.', { maxLength: 64 }),
      {
        maxItems: 256,
      },
    ),
    ports: list('Ports of the service.', port, {
      maxItems: 256,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
    location: choice('Whether its workloads are part of the mesh; MESH_EXTERNAL when left out.', [
      'MESH_EXTERNAL',
      'MESH_INTERNAL',
    ]),
    resolution: choice('How endpoints are found; NONE when left out.', [
      'NONE',
      'STATIC',
      'DNS',
      'DNS_ROUND_ROBIN',
      'DYNAMIC_DNS',
    ]),
    endpoints: list('The endpoints; not together with `workloadSelector`.', workloadEntrySpec, {
      maxItems: 4096,
    }),
    workloadSelector: object('Takes pods and WorkloadEntry objects as endpoints.', {
      labels: map(
        'Labels that a workload must have.',
        text('The value of the label.', { maxLength: 63 }),
        { maxProperties: 256 },
      ),
    }),
    exportTo,
    subjectAltNames: list(
      'Names of which the certificate of the server must carry one.',
      text('A name.'),
    ),
  },
  { required: ['hosts'] },
);

/** `spec.ports[]`. */
export interface ServiceEntryPort extends ValueOf<typeof port> {}
/** What a ServiceEntry says. */
export interface ServiceEntrySpec extends ValueOf<typeof spec> {}

/** Istio's ServiceEntry (networking.istio.io v1, v1beta1, v1alpha3). */
export interface ServiceEntry extends ApiObject {
  readonly spec: ServiceEntrySpec;
  readonly status?: IstioStatus;
}

/** ServiceEntry. */
export const serviceEntry = defineIstioKind<ServiceEntry>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'ServiceEntry',
  plural: 'serviceentries',
  shortNames: ['se'],
  description: 'Adds a service to the mesh: one outside, or one of workloads outside Kubernetes.',
  spec,
  specRequired: true,
  columns: [
    fieldColumn('Hosts', '.spec.hosts', 'DNS names of the service.'),
    fieldColumn('Location', '.spec.location', 'Whether its workloads are part of the mesh.'),
    fieldColumn('Resolution', '.spec.resolution', 'How endpoints are found.'),
    ageColumn,
  ],
  check: checkServiceEntry,
  defaults(object) {
    const { location, resolution } = object.spec;
    if (location !== undefined && resolution !== undefined) return object;
    const defaults = { location: 'MESH_EXTERNAL', resolution: 'NONE' } as const;
    return { ...object, spec: { ...defaults, ...object.spec } };
  },
});
