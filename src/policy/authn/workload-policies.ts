import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { ServiceEntry } from '#api/kinds/service-entry.ts';
import { endpointAt } from '#model/endpoints.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';

type Target = NonNullable<NonNullable<AuthenticationPolicy['spec']>['targets']>[number];
type TargetPort = NonNullable<Target['ports']>[number];

/** The Policy and MeshPolicy objects that decide about one workload. */
export interface WorkloadPolicies {
  /** For every port that `ports` does not have: the policy of the namespace, or of the mesh. */
  readonly common: AuthenticationPolicy | undefined;
  /** By port of the workload, where a policy names a service that leads to it; sorted. */
  readonly ports: ReadonlyMap<number, AuthenticationPolicy>;
}

/** What of the mesh policies of workloads depend on. */
export type PolicySources = Pick<
  MeshSnapshot,
  'authenticationPolicies' | 'meshPolicies' | 'services'
>;

/** A target of a policy, with the service that it names. */
export interface ServiceTarget {
  readonly policy: AuthenticationPolicy;
  readonly service: Service;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
  /** Whether the target names ports: it then comes before one that does not. */
  readonly narrow: boolean;
}

const NO_PORTS: ReadonlyMap<number, AuthenticationPolicy> = new Map();

/**
 * Finds the authentication policies of workloads. The narrowest counts: one for a port of a
 * service, then one for a service, then that of the namespace, then that of the mesh. Of several
 * just as narrow it is the oldest, then the first by name. A policy sees services of its own
 * namespace only. Compiled targets are remembered by the identity of the lists they come from.
 */
export class PolicyFinder {
  readonly #clusterDomain: string;
  readonly #compiled = new WeakMap<
    readonly AuthenticationPolicy[],
    WeakMap<readonly Service[], readonly ServiceTarget[]>
  >();

  /** `clusterDomain`: a target `web` means `web.<namespace>.svc.<cluster domain>`. */
  constructor(clusterDomain: string) {
    this.#clusterDomain = clusterDomain;
  }

  /** The policies that decide about a workload. */
  policiesOf(workload: Workload, sources: PolicySources): WorkloadPolicies {
    const { namespace } = workload;
    const own = sources.authenticationPolicies.in(namespace);
    const common =
      own.find((policy) => targetsOf(policy).length === 0) ?? sources.meshPolicies.in('')[0];
    const targets = this.targetsIn(namespace, sources);
    if (targets.length === 0) return { common, ports: NO_PORTS };
    const found = new Map<number, ServiceTarget>();
    for (const target of targets) {
      for (const port of portsAt(target, workload)) {
        const other = found.get(port);
        if (!other || (target.narrow && !other.narrow)) found.set(port, target);
      }
    }
    const sorted = [...found].sort(([a], [b]) => a - b);
    return { common, ports: new Map(sorted.map(([port, { policy }]) => [port, policy])) };
  }

  /** The targets of a namespace whose service there is; oldest policy first. */
  targetsIn(namespace: string, sources: PolicySources): readonly ServiceTarget[] {
    const policies = sources.authenticationPolicies.in(namespace);
    const services = sources.services.in(namespace);
    let byServices = this.#compiled.get(policies);
    if (!byServices) {
      byServices = new WeakMap();
      this.#compiled.set(policies, byServices);
    }
    let targets = byServices.get(services);
    if (!targets) {
      targets = this.#compile(policies, services);
      byServices.set(services, targets);
    }
    return targets;
  }

  #compile(
    policies: readonly AuthenticationPolicy[],
    services: readonly Service[],
  ): readonly ServiceTarget[] {
    const byHost = Map.groupBy(services, ({ host }: Service) => host);
    return policies.flatMap((policy) =>
      targetsOf(policy).flatMap(({ name, labels = {}, ports = [] }) => {
        const host = `${name}.${policy.metadata.namespace}.svc.${this.#clusterDomain}`;
        return (byHost.get(host) ?? []).map((service) => ({
          policy,
          service,
          labels,
          ports: service.ports.filter((port) => isTargeted(port, ports)),
          narrow: ports.length > 0,
        }));
      }),
    );
  }
}

/** The services that a policy is for; none = its whole namespace, or the mesh. */
export function targetsOf(policy: AuthenticationPolicy): readonly Target[] {
  return policy.spec?.targets ?? [];
}

/** Whether a target that lists `asked` is for a port of a service; no list means every port. */
export function isTargeted(port: ServicePort, asked: readonly TargetPort[]): boolean {
  if (asked.length === 0) return true;
  return asked.some(({ number, name }) =>
    number === undefined ? name === port.name && name !== '' : number === port.port,
  );
}

/** The ports of a workload to which the ports of a target lead. */
function portsAt(target: ServiceTarget, workload: Workload): readonly number[] {
  if (!labelsMatch(target.labels, workload.labels)) return [];
  const { selector } = target.service;
  const selected = selector && labelsMatch(selector, workload.labels) ? [workload] : [];
  return [...selected, ...writtenHere(target.service, workload)].flatMap((at) =>
    target.ports.flatMap((port) => endpointAt(port, at)?.workloadPort ?? []),
  );
}

/** The endpoints written into a ServiceEntry that are the workload, by its address. */
function writtenHere({ source }: Service, workload: Workload): readonly Workload[] {
  // In explicit mode workloads share addresses, so an address says nothing.
  const shared = Object.keys(workload.applicationPorts).length > 0;
  if (source.kind !== 'ServiceEntry' || shared) return [];
  return ((source as ServiceEntry).spec.endpoints ?? [])
    .filter(({ address }) => address === workload.address)
    .map(({ ports = {} }) => ({ ...workload, ports }));
}
