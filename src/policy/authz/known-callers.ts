import { nearName } from '#api/near-name.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';

/** A principal without `spiffe://`, as the identities of workloads are made. */
const PRINCIPAL = /^([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/;

/**
 * Whether callers that policies name are known: as objects, or as the identity of a workload. What
 * another trust domain has is not known here, and not spoken of.
 */
export class KnownCallers {
  readonly #mesh: MeshSnapshot;
  readonly #domains: ReadonlySet<string>;
  #accounts: ReadonlyMap<string, ReadonlySet<string>> | undefined;

  constructor(mesh: MeshSnapshot) {
    this.#mesh = mesh;
    this.#domains = new Set<string>(meshTrustDomains(mesh.settings));
  }

  /** What is wrong with a principal; undefined when nothing is, or nobody knows. */
  principalProblem(principal: string): string | undefined {
    const [, domain = '', namespace = '', name = ''] = PRINCIPAL.exec(principal) ?? [];
    if (!this.#domains.has(domain)) return undefined;
    return this.#accountProblem(namespace, name);
  }

  /** The same of a service account of any trust domain. */
  accountProblem({ namespace, name }: { readonly namespace: string; readonly name: string }) {
    return this.#isFederated ? undefined : this.#accountProblem(namespace, name);
  }

  /** The same of a namespace of any trust domain. @param own where the policy is */
  namespaceProblem(namespace: string, own: string): string | undefined {
    if (this.#isFederated || namespace === own) return undefined;
    return this.#namespaceProblem(namespace);
  }

  get #isFederated(): boolean {
    return this.#mesh.trustBundles.domains.length > 0;
  }

  #namespaceProblem(namespace: string): string | undefined {
    const known = this.#knownAccounts();
    if (known.has(namespace)) return undefined;
    return `there is no namespace "${namespace}"${hint(nearName(namespace, known.keys()))}`;
  }

  #accountProblem(namespace: string, name: string): string | undefined {
    const known = this.#knownAccounts().get(namespace);
    if (!known) return this.#namespaceProblem(namespace);
    if (known.has(name)) return undefined;
    const what = `there is no service account "${name}" in namespace "${namespace}"`;
    return `${what}${hint(nearName(name, known))}`;
  }

  /** Service accounts by namespace; those of workloads, too, which need no object. */
  #knownAccounts(): ReadonlyMap<string, ReadonlySet<string>> {
    if (this.#accounts) return this.#accounts;
    const { namespaces, serviceAccounts, workloads } = this.#mesh;
    const found = new Map<string, Set<string>>();
    const accountsOf = (namespace: string): Set<string> => {
      const set = found.get(namespace) ?? new Set<string>();
      found.set(namespace, set);
      return set;
    };
    for (const { metadata } of namespaces.all()) accountsOf(metadata.name);
    for (const { metadata } of serviceAccounts.all())
      accountsOf(metadata.namespace ?? '').add(metadata.name);
    for (const namespace of workloads.namespaces()) {
      for (const { serviceAccount } of workloads.in(namespace))
        accountsOf(namespace).add(serviceAccount);
    }
    this.#accounts = found;
    return found;
  }
}

function hint(near: string | undefined): string {
  return near === undefined ? '' : `; did you mean "${near}"?`;
}
