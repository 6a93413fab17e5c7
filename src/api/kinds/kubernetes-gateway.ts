import { ageColumn, fieldColumn } from '#api/columns.ts';
import { defineKind, GATEWAY_API } from '#api/kind.ts';
import {
  frontendValidation,
  gatewayApiConditions,
  PORT,
  secretReference,
} from '#api/kinds/gateway-api.ts';
import { checkKubernetesGateway } from '#api/kinds/kubernetes-gateway-rules.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject, choice, integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

const namespaces = object('Namespaces whose routes may belong to the listener.', {
  from: choice('`Same` when left out: those of its own namespace.', [
    'All',
    'Selector',
    'Same',
    'None',
  ]),
  selector: object('Labels of the namespaces, with `Selector`.', {
    matchLabels: map('Labels that a namespace must have.', text('The value of the label.')),
    matchExpressions: list('Not supported.', anyObject('An expression.')),
  }),
});

const tls = object('How the listener secures connections.', {
  mode: choice('`Terminate` when left out.', ['Terminate', 'Passthrough']),
  certificateRefs: list('Secrets with what it shows.', secretReference, { maxItems: 64 }),
  frontendValidation,
  options: map('Options of other controllers; not used.', text('The value.')),
});

const listener = object(
  'A port with its hosts.',
  {
    name: text('Its name, once in the Gateway.'),
    hostname: text('The hosts that are served; all when left out.'),
    port: integer('The port.', PORT),
    protocol: text('HTTP, HTTPS, TLS or TCP.'),
    tls,
    allowedRoutes: object('Which routes may belong to it.', {
      namespaces,
      kinds: list('Kinds of routes.', anyObject('A kind.')),
    }),
  },
  { required: ['name', 'port', 'protocol'] },
);

const spec = object(
  'What a gateway takes from outside.',
  {
    gatewayClassName: text('The class that says who serves it.'),
    listeners: list('Ports with their hosts.', listener, {
      maxItems: 64,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
    tls: object('TLS of all listeners of HTTPS.', {
      backend: anyObject('Not supported.'),
      frontend: object('TLS of callers.', {
        default: object('For every port that has nothing of its own.', {
          validation: frontendValidation,
        }),
        perPort: list(
          'For single ports.',
          object(
            'For one port.',
            {
              port: integer('The port.', PORT),
              tls: object('Its TLS.', { validation: frontendValidation }),
            },
            { required: ['port', 'tls'] },
          ),
          { maxItems: 64 },
        ),
      }),
    }),
    addresses: list('Addresses that are wanted; not used.', anyObject('An address.')),
    infrastructure: anyObject('How its workloads are made; not used.'),
  },
  { required: ['gatewayClassName', 'listeners'] },
);

/** `spec.listeners[]`. */
export interface KubernetesListener extends ValueOf<typeof listener> {}

/** Gateway of the Gateway API. */
export interface KubernetesGateway extends ApiObject {
  readonly spec: ValueOf<typeof spec>;
}

/** Gateway. */
export const kubernetesGateway = defineKind<KubernetesGateway>({
  group: GATEWAY_API,
  versions: ['v1', 'v1beta1'],
  kind: 'Gateway',
  plural: 'gateways',
  shortNames: ['gtw'],
  categories: ['gateway-api'],
  namespaced: true,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'Ports and hosts that workloads with its name in a label serve.',
  fields: {
    spec,
    status: object('State of the gateway.', {
      conditions: gatewayApiConditions,
      addresses: list('Where it is reached.', anyObject('An address.')),
      listeners: list('State of its listeners.', anyObject('A listener.')),
    }),
  },
  requiredFields: ['spec'],
  columns: [fieldColumn('Class', '.spec.gatewayClassName', 'Its class.'), ageColumn],
  check: checkKubernetesGateway,
});
