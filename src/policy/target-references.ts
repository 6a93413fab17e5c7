import type { Diagnostic } from '#api/diagnostic.ts';
import { GATEWAY_API } from '#api/kind.ts';
import type { PolicyTarget, TargetReference } from '#api/kinds/workload-target.ts';
import type { Workload } from '#model/workload.ts';

/** The gateways that a policy is attached to, instead of selecting workloads by their labels. */
export interface GatewayReferences {
  /** Names of Gateways of the Gateway API, in the policy's namespace. */
  readonly gateways: readonly string[];
  /** Names of GatewayClasses; they count in the root namespace. */
  readonly classes: readonly string[];
}

/** The label that names the Gateway of the Gateway API which a workload serves. */
export const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';
/** The same for its class. */
const CLASS_NAME = 'gateway.networking.k8s.io/gateway-class-name';

function written({ targetRef, targetRefs = [] }: PolicyTarget): readonly TargetReference[] {
  return targetRefs.length > 0 || targetRef === undefined ? targetRefs : [targetRef];
}

/** What a policy is attached to; undefined where it selects workloads by their labels. */
export function gatewayReferences(spec: PolicyTarget): GatewayReferences | undefined {
  const references = written(spec);
  if (references.length === 0) return undefined;
  const named = (kind: string): readonly string[] =>
    references
      .filter((one) => one.kind === kind && one.group === GATEWAY_API && !one.namespace)
      .map(({ name }) => name);
  return { gateways: named('Gateway'), classes: named('GatewayClass') };
}

/**
 * Whether a workload is one of the gateways: by the labels that the Gateway API gives to workloads.
 * A Gateway is meant in the namespace of the policy only, a GatewayClass by policies of the root
 * namespace only (Istio, "PolicyTargetReference").
 */
export function isReferenced(
  { gateways, classes }: GatewayReferences,
  workload: Pick<Workload, 'namespace' | 'labels'>,
  policy: { readonly namespace: string; readonly isRoot: boolean },
): boolean {
  const { namespace, labels } = workload;
  const ofClass = labels[CLASS_NAME];
  if (policy.isRoot && ofClass !== undefined && classes.includes(ofClass)) return true;
  const name = labels[GATEWAY_NAME];
  return namespace === policy.namespace && name !== undefined && gateways.includes(name);
}

/** References that nothing enforces. */
export function referenceFindings(spec: PolicyTarget, isRoot: boolean): readonly Diagnostic[] {
  const field = (spec.targetRefs ?? []).length > 0 ? 'spec.targetRefs' : 'spec.targetRef';
  return written(spec).flatMap(({ kind, name }): readonly Diagnostic[] => {
    const what = `${kind} ${name}`;
    if (kind === 'Gateway') return [];
    const message =
      kind === 'GatewayClass'
        ? 'policies of a GatewayClass count in the root namespace only'
        : 'only waypoints enforce policies of services, and this mesh has none';
    if (kind === 'GatewayClass' && isRoot) return [];
    return [{ severity: 'error', field, message: `${what} has no effect: ${message}` }];
  });
}
