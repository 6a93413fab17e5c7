import type { AccessRule } from '#api/kinds/service-role.ts';
import type { ServiceIndex } from '#model/service-index.ts';
import type { Workload } from '#model/workload.ts';
import { leadsTo, workloadPortsOf } from '#model/workload-services.ts';
import { parseTextMatch, type TextMatch, textMatches } from '#policy/authz/text-match.ts';

/** A service that leads to the workload. */
export interface RoleService {
  readonly host: string;
  readonly namespace: string;
  /** The name without namespace and domain. */
  readonly name: string;
  /** The ports of the workload that it leads to. */
  readonly ports: readonly number[];
}

/** What roles speak of: a workload with the services that lead to it. */
export interface RoleTarget {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Its principal, without `spiffe://`; '' when it is not known. */
  readonly principal: string;
  /** None: only roles for all services (`*`) speak of it. */
  readonly services: readonly RoleService[];
}

/** The workload as roles speak of it, with the services of its namespace. */
export function roleTargetOf(workload: Workload, services: ServiceIndex): RoleTarget {
  const { namespace, labels, serviceAccount, identity = '' } = workload;
  return {
    namespace,
    labels,
    serviceAccount,
    principal: identity.replace(/^spiffe:\/\//, ''),
    services: services
      .in(namespace)
      .filter((service) => leadsTo(service, workload))
      .map((service) => ({
        host: service.host,
        namespace,
        name: service.host.split('.', 1)[0] ?? '',
        ports: workloadPortsOf(service, service.ports, workload),
      })),
  };
}

/** On which ports of a workload a rule counts: all of them, or these. */
export type RulePorts = 'all' | readonly number[];

const LABEL = /^destination\.labels\[([^[\]]+)\]$/;

/**
 * On which ports a rule of a role speaks of the target; undefined when it does not. What a rule
 * says of the workload itself (labels, name, account) is decided here and not by Envoy.
 */
export function portsOfRule(rule: AccessRule, target: RoleTarget): RulePorts | undefined {
  const holds = (rule.constraints ?? []).every(({ key, values = [] }) => {
    const found = attributeOf(key, target);
    if (found === undefined) return true;
    const matches = values.map(parseTextMatch);
    return found.some((text) => matches.some((match) => textMatches(match, text)));
  });
  if (!holds) return undefined;
  const names = (rule.services ?? []).map(parseTextMatch);
  const services = target.services.filter((service) => isNamed(service, names));
  if (services.length === target.services.length) {
    const isForAll = services.length > 0 || names.some(({ match }) => match === 'present');
    return isForAll ? 'all' : undefined;
  }
  const ports = [...new Set(services.flatMap((service) => service.ports))].sort((a, b) => a - b);
  return ports.length === 0 ? undefined : ports;
}

/** Whether a key is decided by `portsOfRule`. */
export function isOfWorkload(key: string): boolean {
  return LABEL.test(key) || WORKLOAD_KEYS.has(key);
}

const WORKLOAD_KEYS: ReadonlySet<string> = new Set([
  'destination.name',
  'destination.namespace',
  'destination.user',
]);

/** The texts that an attribute of the workload has; undefined when it is no such attribute. */
function attributeOf(key: string, target: RoleTarget): readonly string[] | undefined {
  if (key === 'destination.name') return target.services.map(({ name }) => name);
  if (key === 'destination.namespace') return [target.namespace];
  if (key === 'destination.user') return [target.serviceAccount, target.principal];
  const label = LABEL.exec(key)?.[1];
  if (label === undefined) return undefined;
  return Object.hasOwn(target.labels, label) ? [target.labels[label] ?? ''] : [];
}

/** Patterns are for short and full names alike. */
function isNamed({ host, name }: RoleService, names: readonly TextMatch[]): boolean {
  return names.some((match) => textMatches(match, host) || textMatches(match, name));
}
