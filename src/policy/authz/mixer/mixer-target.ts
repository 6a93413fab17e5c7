import type { Value } from '#mixer/expression.ts';
import type { Fact } from '#mixer/reference.ts';
import type { ServiceIndex } from '#model/service-index.ts';
import type { Workload } from '#model/workload.ts';
import { type RoleService, roleTargetOf } from '#policy/authz/roles/role-target.ts';

/** A workload as expressions speak of it, called by one of its services. */
export interface MixerTarget {
  /** The ports of the workload that the service leads to; undefined for all of them. */
  readonly ports: readonly number[] | undefined;
  /** What is known of it by the name of the attribute; absent is undefined. */
  readonly facts: ReadonlyMap<string, Value | undefined>;
}

/** Whether an attribute is about the service that is called. */
export function isOfService(attribute: string): boolean {
  return attribute === 'destination.service' || attribute.startsWith('destination.service.');
}

/**
 * The workload, once for each of its services, or once in all where the expressions do not ask for
 * the service or no service leads to it.
 */
export function mixerTargetsOf(
  workload: Workload,
  services: ServiceIndex,
  asksForService: boolean,
): readonly MixerTarget[] {
  const own = factsOfWorkload(workload);
  const found = asksForService ? roleTargetOf(workload, services).services : [];
  if (found.length === 0) return [{ ports: undefined, facts: new Map(own) }];
  return found.map((service) => ({
    ports: found.length === 1 ? undefined : service.ports,
    facts: new Map([...own, ...factsOfService(service)]),
  }));
}

/** What a target knows of an attribute. */
export function factIn({ facts }: MixerTarget, attribute: string): Fact {
  return { known: facts.get(attribute) };
}

type Known = readonly (readonly [string, Value | undefined])[];

function factsOfWorkload(workload: Workload): Known {
  const { name, namespace, labels, serviceAccount, identity } = workload;
  const principal = identity?.replace(/^spiffe:\/\//, '');
  return [
    ['destination.uid', `kubernetes://${name}.${namespace}`],
    ['destination.name', name],
    ['destination.namespace', namespace],
    ['destination.workload.namespace', namespace],
    ['destination.labels', new Map(Object.entries(labels))],
    ['destination.principal', principal],
    ['destination.user', principal],
    ['destination.serviceAccount', serviceAccount === '' ? undefined : serviceAccount],
    ['context.reporter.kind', 'inbound'],
    ['context.reporter.local', true],
  ];
}

function factsOfService({ host, name, namespace }: RoleService): Known {
  return [
    ['destination.service', host],
    ['destination.service.host', host],
    ['destination.service.name', name],
    ['destination.service.namespace', namespace],
    ['destination.service.uid', `istio://${namespace}/services/${name}`],
  ];
}
