import type { Endpoint, ServiceEndpoints } from '#model/endpoint.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { Workload } from '#model/workload.ts';

/**
 * Finds what is behind a service: those workloads of its namespace (`candidates`) that its selector
 * matches, and those `written` into it.
 */
export function findEndpoints(
  service: Service,
  candidates: readonly Workload[],
  written: readonly Workload[],
): ServiceEndpoints {
  const { selector } = service;
  const selected = selector
    ? candidates.filter((workload) => labelsMatch(selector, workload.labels))
    : [];
  const workloads = [...selected, ...written].filter((workload) => workload.address !== '');
  const capable = workloads.filter((workload) => workload.mtlsCapable);
  return {
    byPort: new Map(service.ports.map((port) => [port.port, endpointsOf(port, workloads)])),
    identities: sortedSet(workloads.flatMap(({ identity }) => (identity ? [identity] : []))),
    unnamedNamespaces: sortedSet(
      capable.filter(({ identity }) => !identity).map(({ namespace }) => namespace),
    ),
  };
}

/** `found`, with every part of `before` that is equal in it; `before` itself when all are. */
export function keepEqualParts(
  before: ServiceEndpoints | undefined,
  found: ServiceEndpoints,
): ServiceEndpoints {
  if (!before) return found;
  const byPort = new Map(
    [...found.byPort].map(([port, endpoints]) => {
      const old = before.byPort.get(port);
      return [port, old && sameList(old, endpoints, sameEndpoint) ? old : endpoints] as const;
    }),
  );
  const identities = keepList(before.identities, found.identities);
  const unnamedNamespaces = keepList(before.unnamedNamespaces, found.unnamedNamespaces);
  const same =
    identities === before.identities &&
    unnamedNamespaces === before.unnamedNamespaces &&
    byPort.size === before.byPort.size &&
    [...byPort].every(([port, endpoints]) => before.byPort.get(port) === endpoints);
  return same ? before : { byPort, identities, unnamedNamespaces };
}

function endpointsOf(port: ServicePort, workloads: readonly Workload[]): readonly Endpoint[] {
  return workloads.flatMap((workload) => endpointAt(port, workload) ?? []).sort(byPlace);
}

/**
 * Where a workload takes the connections of a service port. Nowhere where the port is given by a
 * name that the workload does not have, or where a proxy without redirection does not listen for
 * it: a connection must not get to the application past its proxy.
 */
export function endpointAt(port: ServicePort, workload: Workload): Endpoint | undefined {
  const { targetPort } = port;
  const { ports, applicationPorts } = workload;
  const names = [port.name, ...(typeof targetPort === 'string' ? [targetPort] : [])];
  const beside = Object.keys(applicationPorts);
  const name =
    names.find((candidate) => portNamed(candidate, ports) !== undefined) ??
    beside.find((candidate) => portNamed(candidate, applicationPorts) === targetPort);
  const listening = name === undefined ? undefined : portNamed(name, ports);
  if (name !== undefined && listening !== undefined) {
    const workloadPort = portNamed(name, applicationPorts) ?? listening;
    return { workload, port: listening, workloadPort };
  }
  if (beside.length > 0 || typeof targetPort !== 'number') return undefined;
  return { workload, port: targetPort, workloadPort: targetPort };
}

/** Names come from users: `constructor` is one too. */
function portNamed(name: string, ports: Readonly<Record<string, number>>): number | undefined {
  return Object.hasOwn(ports, name) ? ports[name] : undefined;
}

function byPlace(a: Endpoint, b: Endpoint): number {
  if (a.workload.address !== b.workload.address)
    return a.workload.address < b.workload.address ? -1 : 1;
  if (a.port !== b.port) return a.port - b.port;
  return a.workload.name < b.workload.name ? -1 : 1;
}

function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.workload === b.workload && a.port === b.port && a.workloadPort === b.workloadPort;
}

function sameList<T>(
  a: readonly T[],
  b: readonly T[],
  same: (x: T, y: T) => boolean = Object.is,
): boolean {
  return a.length === b.length && a.every((item, position) => same(item, b[position] as T));
}

function keepList<T>(before: readonly T[], found: readonly T[]): readonly T[] {
  return sameList(before, found) ? before : found;
}

function sortedSet<T extends string>(items: readonly T[]): readonly T[] {
  return [...new Set(items)].sort();
}
