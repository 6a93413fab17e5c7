import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { Labels } from '#model/selector.ts';
import {
  compileNamespaceMtls,
  type InboundMtls,
  inboundMtls,
  type NamespaceMtls,
} from '#policy/authn/peer-authentication.ts';

type Policies = NamespacedObjects<PeerAuthentication>;

/**
 * What holds for the connections that workloads take; each namespace is compiled once for a set of
 * policies.
 */
export class MtlsModes {
  readonly #rootNamespace: string;
  readonly #compiled = new WeakMap<Policies, Map<string, NamespaceMtls>>();

  constructor(rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
  }

  of(
    workload: { readonly namespace: string; readonly labels: Labels },
    policies: Policies,
  ): InboundMtls {
    let namespaces = this.#compiled.get(policies);
    if (!namespaces) {
      namespaces = new Map();
      this.#compiled.set(policies, namespaces);
    }
    let compiled = namespaces.get(workload.namespace);
    if (!compiled) {
      compiled = compileNamespaceMtls(policies, this.#rootNamespace, workload.namespace);
      namespaces.set(workload.namespace, compiled);
    }
    return inboundMtls(compiled, workload.labels);
  }
}
