import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import type { InboundMode, InboundMtls, MtlsMode } from '#policy/authn/mtls-mode.ts';
import {
  compileNamespaceMtls,
  type NamespaceMtls,
  type WrittenMtls,
  writtenMtls,
} from '#policy/authn/peer-authentication.ts';
import { modeOfPeers } from '#policy/authn/peers.ts';
import { PolicyFinder, type PolicySources } from '#policy/authn/workload-policies.ts';

/** What of the mesh modes depend on. */
export type PeerPolicies = PolicySources & Pick<MeshSnapshot, 'peerAuthentications'>;

/** The mode of a mesh in which nobody said anything (Istio, "PeerAuthentication"). */
const MODE_DEFAULT: MtlsMode = 'PERMISSIVE';

/**
 * Decides which connections workloads take, from PeerAuthentication and the older Policy and
 * MeshPolicy. What a PeerAuthentication says about a workload counts; where none says anything, or
 * all say UNSET, the older objects count; then PERMISSIVE. Remembers each namespace by the identity
 * of its objects.
 */
export class PeerAuthenticator {
  readonly #rootNamespace: string;
  readonly #finder: PolicyFinder;
  readonly #compiled = new WeakMap<PeerPolicies['peerAuthentications'], ByNamespace>();

  constructor(settings: { readonly rootNamespace: string; readonly clusterDomain: string }) {
    this.#rootNamespace = settings.rootNamespace;
    this.#finder = new PolicyFinder(settings.clusterDomain);
  }

  /** What holds for the connections that `workload` takes. */
  inboundMtls(workload: Workload, policies: PeerPolicies): InboundMtls {
    const written = writtenMtls(this.#namespace(workload.namespace, policies), workload.labels);
    const { mode } = written;
    if (mode !== undefined) return { mode, ports: portModes(written, () => mode) };
    const old = this.#finder.policiesOf(workload, policies);
    const common = old.common ? modeOfPeers(old.common) : MODE_DEFAULT;
    const oldPorts = new Map([...old.ports].map(([port, policy]) => [port, modeOfPeers(policy)]));
    const newPorts = portModes(written, (port) => oldPorts.get(port) ?? common);
    const ports = [...new Map([...oldPorts, ...newPorts])].sort(([a], [b]) => a - b);
    return { mode: common, ports: new Map(ports) };
  }

  #namespace(namespace: string, { peerAuthentications }: PeerPolicies): NamespaceMtls {
    let namespaces = this.#compiled.get(peerAuthentications);
    if (!namespaces) {
      namespaces = new Map();
      this.#compiled.set(peerAuthentications, namespaces);
    }
    let compiled = namespaces.get(namespace);
    if (!compiled) {
      compiled = compileNamespaceMtls(peerAuthentications, this.#rootNamespace, namespace);
      namespaces.set(namespace, compiled);
    }
    return compiled;
  }
}

type ByNamespace = Map<string, NamespaceMtls>;

function portModes(
  { ports }: WrittenMtls,
  unset: (port: number) => InboundMode,
): ReadonlyMap<number, InboundMode> {
  return new Map([...ports].map(([port, mode]) => [port, mode ?? unset(port)]));
}
