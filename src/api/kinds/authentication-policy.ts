import { ageColumn } from '#api/columns.ts';
import { forbidden, invalid } from '#api/field-error.ts';
import type { Column, Report } from '#api/kind.ts';
import {
  type AuthenticationPolicySpec,
  authenticationPolicySpec,
  checkAuthenticationPolicy,
  mtlsOfPeer,
} from '#api/kinds/authentication-policy-rules.ts';
import { defineIstioKind, type IstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject } from '#api/object.ts';

/**
 * Policy or MeshPolicy of authentication.istio.io/v1alpha1. A missing spec means the same as an
 * empty one.
 */
export interface AuthenticationPolicy extends ApiObject {
  readonly spec?: AuthenticationPolicySpec;
  readonly status?: IstioStatus;
}

/** The connections that the policy takes, as its column shows them. */
function shownPeers({ spec }: AuthenticationPolicy): string {
  const modes = (spec?.peers ?? []).map((peer) => {
    const mtls = mtlsOfPeer(peer);
    if (mtls === undefined) return 'jwt';
    return mtls.allowTls ? 'PERMISSIVE' : (mtls.mode ?? 'STRICT');
  });
  return modes.length === 0 ? 'none' : modes.join(',');
}

const peersColumn: Column<AuthenticationPolicy> = {
  name: 'Peers',
  type: 'string',
  description: 'How callers prove which workload they are.',
  priority: 0,
  value: shownPeers,
};

const targetsColumn: Column<AuthenticationPolicy> = {
  name: 'Targets',
  type: 'string',
  description: 'The services that the policy is for.',
  priority: 0,
  value: ({ spec }) => (spec?.targets ?? []).map(({ name }) => name).join(',') || '*',
};

function checkMeshPolicy(policy: AuthenticationPolicy, report: Report): void {
  const { targets, ...spec } = policy.spec ?? {};
  const { name } = policy.metadata;
  if ((targets ?? []).length > 0) {
    report(forbidden('spec.targets', 'a MeshPolicy is for the whole mesh'));
  }
  if (name !== 'default') {
    report(invalid('metadata.name', name, 'a MeshPolicy must be named "default"'));
  }
  checkAuthenticationPolicy(spec, 'default', report);
}

const common = {
  group: 'authentication.istio.io',
  versions: ['v1alpha1'],
  shortNames: [],
  spec: authenticationPolicySpec,
} as const satisfies Partial<IstioKind<AuthenticationPolicy>>;

/** Policy: who may call the services of a namespace. */
export const policy = defineIstioKind<AuthenticationPolicy>({
  ...common,
  kind: 'Policy',
  plural: 'policies',
  description: 'Decides who may call services of its namespace, and how callers prove it.',
  columns: [targetsColumn, peersColumn, ageColumn],
  check(object, report) {
    checkAuthenticationPolicy(object.spec ?? {}, object.metadata.name, report);
  },
});

/** MeshPolicy: who may call the services of the mesh; cluster-scoped, named `default`. */
export const meshPolicy = defineIstioKind<AuthenticationPolicy>({
  ...common,
  kind: 'MeshPolicy',
  plural: 'meshpolicies',
  namespaced: false,
  description: 'Decides who may call services where no Policy says so, and how callers prove it.',
  columns: [peersColumn, ageColumn],
  check: checkMeshPolicy,
});
