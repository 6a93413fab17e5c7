import { ageColumn } from '#api/columns.ts';
import { type Cell, defineKind } from '#api/kind.ts';
import { externalAddresses, portsText, selectorText } from '#api/kinds/service-cells.ts';
import { fillService } from '#api/kinds/service-defaults.ts';
import { checkService, checkServiceChange } from '#api/kinds/service-rules.ts';
import type { ApiObject } from '#api/object.ts';
import {
  choice,
  flag,
  integer,
  integerOrText,
  list,
  map,
  object,
  text,
  type ValueOf,
} from '#api/schema.ts';

const INT32 = { format: 'int32' } as const;

const port = object(
  'One port of the service.',
  {
    name: text('Name of the port, a DNS label; needed when there are several.'),
    protocol: choice('Transport of the port.', ['SCTP', 'TCP', 'UDP'], { default: 'TCP' }),
    appProtocol: text(
      'Protocol of the application: `http`, `https`, `grpc`, `kubernetes.io/h2c` …',
    ),
    port: integer('Port number that callers use.', INT32),
    targetPort: integerOrText('Port of the workloads, by number or name; `port` when left out.'),
    nodePort: integer('Port on every node.', INT32),
  },
  { required: ['port'] },
);

const spec = object('Wanted state of the service.', {
  ports: list('Ports of the service.', port, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['port', 'protocol'],
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': 'port',
  }),
  selector: map('Labels of the workloads behind the service.', text('The value of the label.'), {
    'x-kubernetes-map-type': 'atomic',
  }),
  type: choice('ClusterIP when left out.', [
    'ClusterIP',
    'ExternalName',
    'LoadBalancer',
    'NodePort',
  ]),
  clusterIP: text('Address of the service; `None` = headless; given by the server.'),
  clusterIPs: list('Addresses of the service, one of each family.', text('An address.'), {
    'x-kubernetes-list-type': 'atomic',
  }),
  ipFamilies: list('Address families, the first one first.', text('`IPv4` or `IPv6`.'), {
    'x-kubernetes-list-type': 'atomic',
  }),
  ipFamilyPolicy: choice('How many families it has.', [
    'SingleStack',
    'PreferDualStack',
    'RequireDualStack',
  ]),
  externalIPs: list('Addresses outside that lead to the service too.', text('An address.'), {
    'x-kubernetes-list-type': 'atomic',
  }),
  externalName: text('DNS name that the service stands for, with type ExternalName.'),
  externalTrafficPolicy: choice('Which nodes take traffic from outside.', ['Cluster', 'Local']),
  internalTrafficPolicy: choice('Which workloads traffic from inside reaches.', [
    'Cluster',
    'Local',
  ]),
  healthCheckNodePort: integer('Port of the node health check.', INT32),
  loadBalancerIP: text('Address asked of the load balancer.'),
  loadBalancerClass: text('Which load balancer is meant.'),
  loadBalancerSourceRanges: list('CIDR blocks that may use it.', text('A block.'), {
    'x-kubernetes-list-type': 'atomic',
  }),
  allocateLoadBalancerNodePorts: flag('Whether a load balancer needs node ports.'),
  publishNotReadyAddresses: flag('Whether DNS names workloads that are not ready.'),
  sessionAffinity: choice('None when left out.', ['ClientIP', 'None']),
  sessionAffinityConfig: object('Settings of the affinity.', {
    clientIP: object('Affinity by address.', {
      timeoutSeconds: integer('Seconds until it is forgotten; 10800 when left out.', INT32),
    }),
  }),
  trafficDistribution: text('Which endpoints are preferred.'),
});

const ingress = object('One address of the load balancer.', {
  ip: text('IP address.'),
  hostname: text('DNS name.'),
  ipMode: text('`VIP` or `Proxy`.'),
  ports: list(
    'Ports of the address.',
    object('One port.', {
      port: integer('Port number.', INT32),
      protocol: text('Protocol.'),
      error: text('What went wrong with it.'),
    }),
    { 'x-kubernetes-list-type': 'atomic' },
  ),
});

const status = object('State of the service.', {
  loadBalancer: object('State of the load balancer.', {
    ingress: list('Its addresses.', ingress, { 'x-kubernetes-list-type': 'atomic' }),
  }),
  conditions: list(
    'Findings about the service.',
    object('One finding.', {
      type: text('What it is about.'),
      status: choice('Whether it holds.', ['True', 'False', 'Unknown']),
      reason: text('Why, in one word.'),
      message: text('Why, in a sentence.'),
      observedGeneration: integer('Generation that it is about.'),
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

/** `spec.ports[]`. */
export interface ServicePort extends ValueOf<typeof port> {}
/** What a Service says. */
export interface ServiceSpec extends ValueOf<typeof spec> {}

/** Kubernetes' Service (core v1). */
export interface Service extends ApiObject {
  readonly spec?: ServiceSpec;
  readonly status?: ValueOf<typeof status>;
}

const column = (name: string, description: string, value: (service: Service) => Cell) =>
  ({ name, type: 'string', description, priority: 0, value }) as const;

/** Service. */
export const service = defineKind<Service>({
  group: '',
  versions: ['v1'],
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  statusSubresource: true,
  nameRule: 'label',
  description: 'A name and address for the workloads that a selector finds.',
  fields: { spec, status },
  columns: [
    column('Type', 'How the service is reached.', (object) => object.spec?.type ?? 'ClusterIP'),
    column('Cluster-IP', 'Address of the service.', (object) => object.spec?.clusterIP || '<none>'),
    column('External-IP', 'Addresses outside that lead to it.', externalAddresses),
    column('Port(s)', 'Ports of the service.', portsText),
    ageColumn,
    {
      ...column('Selector', 'Labels of the workloads behind the service.', selectorText),
      priority: 1,
    },
  ],
  check: checkService,
  checkChange: checkServiceChange,
  defaults: fillService,
});
