import { ageColumn, fieldColumn } from '#api/columns.ts';
import { defineKind } from '#api/kind.ts';
import { type IstioStatus, istioStatus } from '#api/kinds/istio-status.ts';
import { labelSelector } from '#api/kinds/workload-target.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, map, object, type ValueOf } from '#api/schema.ts';

const mtls = object('Whether connections must be mutual TLS.', {
  mode: choice('UNSET takes the mode of the namespace, then of the mesh, then PERMISSIVE.', [
    'UNSET',
    'DISABLE',
    'PERMISSIVE',
    'STRICT',
  ]),
});

const spec = object('Which connections a workload takes.', {
  selector: labelSelector,
  mtls,
  portLevelMtls: map('Another setting for single ports of the workload, by port number.', mtls, {
    minProperties: 1,
  }),
});

/** `spec.mtls` and the values of `spec.portLevelMtls`; without a mode it is UNSET. */
export interface MutualTls extends ValueOf<typeof mtls> {}
/** What a PeerAuthentication asks for. */
export interface PeerAuthenticationSpec extends ValueOf<typeof spec> {}

/** Istio's PeerAuthentication (security.istio.io v1, v1beta1). A missing spec means the same as an empty one. */
export interface PeerAuthentication extends ApiObject {
  readonly spec?: PeerAuthenticationSpec;
  readonly status?: IstioStatus;
}

/** PeerAuthentication. */
export const peerAuthentication = defineKind<PeerAuthentication>({
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  kind: 'PeerAuthentication',
  plural: 'peerauthentications',
  shortNames: ['pa'],
  categories: ['istio-io', 'security-istio-io'],
  namespaced: true,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'Decides whether the connections that a workload takes must be mutual TLS.',
  fields: { spec, status: istioStatus },
  columns: [
    fieldColumn('Mode', '.spec.mtls.mode', 'Whether connections must be mutual TLS.'),
    ageColumn,
  ],
});
