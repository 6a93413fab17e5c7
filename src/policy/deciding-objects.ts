import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ApiObject } from '#api/object.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { selects } from '#policy/authn/jwt.ts';
import { selectsWorkloads } from '#policy/authn/peer-authentication.ts';
import { PolicyFinder } from '#policy/authn/workload-policies.ts';
import type { CompiledPolicy, PolicyKind } from '#policy/authz/compiled-policy.ts';
import { roleOf } from '#policy/authz/roles/role-finder.ts';
import type { Authorizer, WorkloadAuthorization } from '#policy/authz/selection.ts';
import { SharedByList } from '#policy/shared-by-list.ts';
import { ruleScope, rulesSeenBy } from '#policy/tls/destination-rules.ts';

type Settings = Pick<MeshSettings, 'rootNamespace' | 'clusterDomain'>;

/** The parts of a mesh in which the objects are that come to compiled policies. */
const PARTS = {
  AuthorizationPolicy: 'authorizationPolicies',
  ServiceRoleBinding: 'serviceRoleBindings',
  ClusterRbacConfig: 'clusterRbacConfigs',
  RbacConfig: 'rbacConfigs',
  rule: 'mixerRules',
} as const satisfies Record<PolicyKind, keyof MeshSnapshot>;

/**
 * Finds the objects that decide about a workload: about the calls to it, and, of DestinationRule,
 * by it. An object that others leave nothing to decide is not among them.
 */
export class DecidingObjects {
  readonly #authorizer: Authorizer;
  readonly #settings: Settings;
  readonly #finder: PolicyFinder;
  readonly #shared = new SharedByList<object, readonly ApiObject[]>();
  readonly #names = new WeakMap<readonly ApiObject[], ReadonlyMap<string, ApiObject>>();
  readonly #seen = new WeakMap<
    NamespacedObjects<DestinationRule>,
    Map<string, readonly DestinationRule[]>
  >();

  constructor(authorizer: Authorizer, settings: Settings) {
    this.#authorizer = authorizer;
    this.#settings = settings;
    this.#finder = new PolicyFinder(settings.clusterDomain);
  }

  /** Workloads about which the same objects decide get the same list. */
  of(workload: Workload, mesh: MeshSnapshot): readonly ApiObject[] {
    const authorization = this.#authorizer.authorizationFor(workload, mesh);
    const own = [
      ...this.#peers(workload, mesh),
      ...this.#tokens(workload, mesh),
      ...this.#older(workload, mesh),
    ];
    const rules = this.#rules(workload, mesh);
    return this.#shared.get([authorization, ...own, rules], () => [
      ...new Set([...this.#authorizing(authorization, mesh), ...own, ...rules]),
    ]);
  }

  #authorizing({ policies }: WorkloadAuthorization, mesh: MeshSnapshot): readonly ApiObject[] {
    return policies.flatMap((policy) => {
      const object = this.#objectOf(policy, mesh);
      if (!object) return [];
      if (policy.kind !== 'ServiceRoleBinding') return [object];
      const binding = mesh.serviceRoleBindings.get(policy.namespace, policy.name);
      const role = binding && roleOf(binding, mesh, this.#settings.rootNamespace);
      return role ? [object, role] : [object];
    });
  }

  /** By its name, in steps that do not grow with the number of objects. */
  #objectOf({ kind, namespace, name }: CompiledPolicy, mesh: MeshSnapshot): ApiObject | undefined {
    const list: readonly ApiObject[] = mesh[PARTS[kind]].in(namespace);
    let names = this.#names.get(list);
    if (!names) {
      names = new Map(list.map((object) => [object.metadata.name, object]));
      this.#names.set(list, names);
    }
    return names.get(name);
  }

  /** One of each level, since what one leaves open the next decides. */
  #peers({ namespace, labels }: Workload, { peerAuthentications }: MeshSnapshot) {
    const { rootNamespace } = this.#settings;
    const general = (place: string) =>
      peerAuthentications.in(place).find((policy) => !selectsWorkloads(policy));
    const selecting = namespace === rootNamespace ? [] : peerAuthentications.in(namespace);
    const own = selecting
      .filter(selectsWorkloads)
      .find(({ spec }) => labelsMatch(spec?.selector?.matchLabels ?? {}, labels));
    return [...new Set([own, general(namespace), general(rootNamespace)])].flatMap(
      (policy) => policy ?? [],
    );
  }

  #tokens(workload: Workload, { requestAuthentications }: MeshSnapshot) {
    return [...new Set([workload.namespace, this.#settings.rootNamespace])]
      .flatMap((namespace) => requestAuthentications.in(namespace))
      .filter((policy) => selects(policy, workload, this.#settings.rootNamespace));
  }

  #older(workload: Workload, mesh: MeshSnapshot) {
    const { common, ports } = this.#finder.policiesOf(workload, mesh);
    return [...new Set([common, ...ports.values()])].flatMap((policy) => policy ?? []);
  }

  #rules({ namespace, labels }: Workload, { destinationRules: all }: MeshSnapshot) {
    const client = { namespace, labels };
    let byScope = this.#seen.get(all);
    if (!byScope) {
      byScope = new Map();
      this.#seen.set(all, byScope);
    }
    const scope = ruleScope(all, client);
    let seen = byScope.get(scope);
    if (!seen) {
      seen = rulesSeenBy(all, client);
      byScope.set(scope, seen);
    }
    return seen;
  }
}
