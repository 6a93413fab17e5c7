import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PolicyFinder } from '#policy/authn/workload-policies.ts';
import type { PolicyObject } from '#policy/decide/layer.ts';

/** Where a rule for tokens is written. */
export interface TokenSource {
  readonly object: PolicyObject;
  readonly field: string;
  /** '' = any. */
  readonly issuer: string;
}

/** The rules for tokens that count for a port of a workload, as `TokenPolicies` chooses them. */
export function tokenSources(
  workload: Workload,
  workloadPort: number,
  mesh: MeshSnapshot,
): readonly TokenSource[] {
  const { rootNamespace, clusterDomain } = mesh.settings;
  const written = [...new Set([workload.namespace, rootNamespace])]
    .flatMap((namespace) => mesh.requestAuthentications.in(namespace))
    .filter(({ spec }) => spec?.targetRef === undefined && (spec?.targetRefs ?? []).length === 0)
    .filter(({ spec }) => labelsMatch(spec?.selector?.matchLabels ?? {}, workload.labels))
    .flatMap(({ kind, metadata: { name, namespace = '' }, spec }) =>
      (spec?.jwtRules ?? []).map(({ issuer = '' }, index) => {
        return { object: { kind, namespace, name }, field: `spec.jwtRules[${index}]`, issuer };
      }),
    );
  if (written.length > 0) return written;
  const { common, ports } = new PolicyFinder(clusterDomain).policiesOf(workload, mesh);
  const old = ports.get(workloadPort) ?? common;
  return old === undefined ? [] : originsOf(old);
}

function originsOf({ kind, metadata, spec }: AuthenticationPolicy): readonly TokenSource[] {
  const { name, namespace = '' } = metadata;
  const object = { kind, namespace, name };
  return (spec?.origins ?? []).flatMap(({ jwt }, index) => {
    const field = `spec.origins[${index}].jwt`;
    return jwt === undefined ? [] : [{ object, field, issuer: jwt.issuer ?? '' }];
  });
}
