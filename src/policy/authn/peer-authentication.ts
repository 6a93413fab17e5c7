import type { MutualTls, PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { MtlsMode } from '#policy/authn/mtls-mode.ts';

/** What PeerAuthentication objects say about the connections that a workload takes. Immutable. */
export interface WrittenMtls {
  /** undefined = nobody says anything. */
  readonly mode: MtlsMode | undefined;
  /** Ports that are named; undefined = as the workload. */
  readonly ports: ReadonlyMap<number, MtlsMode | undefined>;
}

/**
 * The PeerAuthentication objects of one namespace and of the mesh, in the form that workloads are
 * asked against.
 */
export interface NamespaceMtls {
  /** Of workloads that no policy selects. */
  readonly common: WrittenMtls;
  /** Policies that select workloads by label; of several the first that matches counts. */
  readonly selecting: readonly { readonly labels: Labels; readonly mtls: WrittenMtls }[];
}

/**
 * Compiles what holds in a namespace: the policy of the mesh (in the root namespace, without
 * selector), then that of the namespace, then those that select workloads; what is UNSET comes from
 * the level above, and of several on one level the oldest wins. Port modes count only in policies
 * that select workloads, and those do not count in the root namespace (as in Istio).
 */
export function compileNamespaceMtls(
  policies: NamespacedObjects<PeerAuthentication>,
  rootNamespace: string,
  namespace: string,
): NamespaceMtls {
  const general = (place: string): PeerAuthentication | undefined =>
    policies.in(place).find((policy) => !selectsWorkloads(policy));
  const meshMode = modeOf(general(rootNamespace)?.spec?.mtls);
  const mode = modeOf(general(namespace)?.spec?.mtls) ?? meshMode;
  const selecting = namespace === rootNamespace ? [] : policies.in(namespace);
  return {
    common: { mode, ports: new Map() },
    selecting: selecting.filter(selectsWorkloads).map((policy) => ({
      labels: policy.spec?.selector?.matchLabels ?? {},
      mtls: compileSelecting(policy, mode),
    })),
  };
}

/** What is said about a workload with these labels. */
export function writtenMtls(compiled: NamespaceMtls, labels: Labels): WrittenMtls {
  const own = compiled.selecting.find((policy) => labelsMatch(policy.labels, labels));
  return own?.mtls ?? compiled.common;
}

function compileSelecting(
  policy: PeerAuthentication,
  inherited: MtlsMode | undefined,
): WrittenMtls {
  const mode = modeOf(policy.spec?.mtls) ?? inherited;
  const ports = Object.entries(policy.spec?.portLevelMtls ?? {})
    .map(([port, mtls]) => [Number(port), modeOf(mtls)] as const)
    .sort((a, b) => a[0] - b[0]);
  return { mode, ports: new Map(ports) };
}

/** Whether the policy is for workloads by their labels; an empty selector is none. */
export function selectsWorkloads(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec?.selector?.matchLabels ?? {}).length > 0;
}

/** Whether the policy itself says which connections the workload takes. */
export function hasMode(policy: PeerAuthentication): boolean {
  return modeOf(policy.spec?.mtls) !== undefined;
}

function modeOf(mtls: MutualTls | undefined): MtlsMode | undefined {
  const mode = mtls?.mode;
  return mode === undefined || mode === 'UNSET' ? undefined : mode;
}
