import type { MutualTls, PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';

/** Which connections a port takes: plaintext only, both, or mutual TLS only. */
export type MtlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

/** What holds for the connections that one workload takes. Immutable. */
export interface InboundMtls {
  readonly mode: MtlsMode;
  /** Ports of the workload that have a mode of their own. */
  readonly ports: ReadonlyMap<number, MtlsMode>;
}

/**
 * The PeerAuthentication objects of one namespace and of the mesh, in the form that workloads are
 * asked against.
 */
export interface NamespaceMtls {
  /** Of workloads that no policy selects. */
  readonly common: InboundMtls;
  /** Policies that select workloads by label; of several the first that matches counts. */
  readonly selecting: readonly { readonly labels: Labels; readonly mtls: InboundMtls }[];
}

/** The mode of a mesh in which nobody said anything (Istio, "PeerAuthentication"). */
const MODE_DEFAULT: MtlsMode = 'PERMISSIVE';

/**
 * Compiles what holds in a namespace: the policy of the mesh (in the root namespace, without
 * selector), then that of the namespace, then those that select workloads; what is UNSET comes from
 * the level above, and of several on one level the oldest wins. Port modes count only in policies
 * that select workloads.
 */
export function compileNamespaceMtls(
  policies: NamespacedObjects<PeerAuthentication>,
  rootNamespace: string,
  namespace: string,
): NamespaceMtls {
  const general = (place: string): PeerAuthentication | undefined =>
    policies.in(place).find((policy) => !selects(policy));
  const meshMode = modeOf(general(rootNamespace)?.spec?.mtls) ?? MODE_DEFAULT;
  const mode = modeOf(general(namespace)?.spec?.mtls) ?? meshMode;
  return {
    common: { mode, ports: new Map() },
    selecting: policies
      .in(namespace)
      .filter(selects)
      .map((policy) => ({
        labels: policy.spec?.selector?.matchLabels ?? {},
        mtls: compileSelecting(policy, mode),
      })),
  };
}

/** What holds for a workload with these labels. */
export function inboundMtls(compiled: NamespaceMtls, labels: Labels): InboundMtls {
  const own = compiled.selecting.find((policy) => labelsMatch(policy.labels, labels));
  return own?.mtls ?? compiled.common;
}

/** The mode of one port of a workload. */
export function modeOfPort(mtls: InboundMtls, workloadPort: number): MtlsMode {
  return mtls.ports.get(workloadPort) ?? mtls.mode;
}

function compileSelecting(policy: PeerAuthentication, inherited: MtlsMode): InboundMtls {
  const mode = modeOf(policy.spec?.mtls) ?? inherited;
  const ports = Object.entries(policy.spec?.portLevelMtls ?? {})
    .map(([port, mtls]) => [Number(port), modeOf(mtls) ?? mode] as const)
    .sort((a, b) => a[0] - b[0]);
  return { mode, ports: new Map(ports) };
}

function selects(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec?.selector?.matchLabels ?? {}).length > 0;
}

function modeOf(mtls: MutualTls | undefined): MtlsMode | undefined {
  const mode = mtls?.mode;
  return mode === undefined || mode === 'UNSET' ? undefined : mode;
}
