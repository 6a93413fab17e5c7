import { ageColumn, fieldColumn } from '#api/columns.ts';
import { exportTo } from '#api/kinds/export-to.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { tcpMatch, tlsMatch } from '#api/kinds/virtual-service-match.ts';
import { httpRoute, plainDestination } from '#api/kinds/virtual-service-route.ts';
import { checkVirtualService } from '#api/kinds/virtual-service-rules.ts';
import type { ApiObject } from '#api/object.ts';
import { list, object, text, type ValueOf } from '#api/schema.ts';

const spec = object('How calls to hosts are led.', {
  hosts: list(
    'Hosts that are called; short names are taken in the own namespace.',
    text('A host.'),
  ),
  gateways: list(
    'Where the routes count: gateways, or `mesh` for all sidecars.',
    text('A gateway.'),
  ),
  http: list('Routes for HTTP; the first that matches counts.', httpRoute),
  tls: list(
    'Routes for TLS that is passed through.',
    object(
      'What becomes of connections that match.',
      {
        match: list('Conditions, of which one must hold.', tlsMatch),
        route: list('Destinations, by weight.', plainDestination),
      },
      { required: ['match'] },
    ),
  ),
  tcp: list(
    'Routes for other connections.',
    object('What becomes of connections that match.', {
      match: list('Conditions, of which one must hold.', tcpMatch),
      route: list('Destinations, by weight.', plainDestination),
    }),
  ),
  exportTo,
});

/** What a VirtualService says. */
export interface VirtualServiceSpec extends ValueOf<typeof spec> {}

/** Istio's VirtualService (networking.istio.io v1, v1beta1, v1alpha3). */
export interface VirtualService extends ApiObject {
  readonly spec?: VirtualServiceSpec;
  readonly status?: IstioStatus;
}

/** VirtualService. */
export const virtualService = defineIstioKind<VirtualService>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'VirtualService',
  plural: 'virtualservices',
  shortNames: ['vs'],
  description: 'How calls to hosts are led: by path, header or weight, with rewrites.',
  spec,
  columns: [
    fieldColumn('Gateways', '.spec.gateways', 'Where the routes count.'),
    fieldColumn('Hosts', '.spec.hosts', 'Hosts that are called.'),
    ageColumn,
  ],
  check: checkVirtualService,
});
