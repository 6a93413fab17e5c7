import { endpointAt } from '#model/endpoints.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { Service } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance, type Workload } from '#model/workload.ts';
import { workloadPortsOf } from '#model/workload-services.ts';
import type { ServiceTarget } from '#policy/authn/workload-policies.ts';

/** A workload that has these labels and nothing else: the one that a selector asks for. */
export function workloadWith(labels: Labels, namespace: string, mesh: MeshSnapshot): Workload {
  const { trustDomain } = mesh.settings;
  // Where a workload of the selector is known, it tells which numbers the names of ports have.
  const known = mesh.workloads.in(namespace).find((one) => labelsMatch(labels, one.labels));
  if (known !== undefined) return { ...known, name: shownLabels(labels), labels };
  const spec = { labels };
  const name = shownLabels(labels);
  return readInstance({ name, namespace, spec, trustDomain, applicationPorts: {} });
}

/** `app=web,version=v1`, as kubectl writes selectors. */
export function shownLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}

/** Every selector once that services of a namespace have, alone or with labels of a target. */
export function selectorsIn(
  namespace: string,
  mesh: MeshSnapshot,
  targets: readonly ServiceTarget[],
): readonly Labels[] {
  const ofServices = mesh.services.in(namespace).map(({ selector }) => selector);
  return distinct([...ofServices.filter((one) => one !== undefined), ...targetSelectors(targets)]);
}

/** Every selector once that targets stand for. */
export function targetSelectors(targets: readonly ServiceTarget[]): readonly Labels[] {
  return distinct(targets.map(labelsOf).filter((labels) => labels !== undefined));
}

/** Labels of the workloads of a target; undefined when no labels tell them. */
export function labelsOf({ service, labels }: ServiceTarget): Labels | undefined {
  const { selector } = service;
  if (selector === undefined || !areCompatible(selector, labels)) return undefined;
  return { ...selector, ...labels };
}

/** Whether a workload can have all labels of both. */
export function areCompatible(a: Labels, b: Labels): boolean {
  return Object.entries(a).every(([key, value]) => !Object.hasOwn(b, key) || b[key] === value);
}

/** Each of the label sets once, in their order. */
export function distinct(list: readonly Labels[]): readonly Labels[] {
  const byText = new Map<string, Labels>();
  for (const labels of list) {
    const text = JSON.stringify(Object.entries(labels).sort());
    if (!byText.has(text)) byText.set(text, labels);
  }
  return [...byText.values()];
}

/** The ports of a workload to which services lead; sorted. Of a port may be both. */
export interface ServedPorts {
  /** Those on which requests are seen. */
  readonly http: readonly number[];
  /** Those that carry connections of which nothing is known. */
  readonly tcp: readonly number[];
}

/** The ports of a workload that the services of its namespace lead to. */
export function servedPorts(workload: Workload, services: readonly Service[]): ServedPorts {
  const handledAs = (handling: 'http' | 'tcp'): readonly number[] => {
    const ports = services.flatMap((service) => {
      const wanted = service.ports.filter(({ protocol }) =>
        [handling, 'sniffed'].includes(PROTOCOLS[protocol].handling),
      );
      return workloadPortsOf(service, wanted, workload);
    });
    return [...new Set(ports)].sort((a, b) => a - b);
  };
  return { http: handledAs('http'), tcp: handledAs('tcp') };
}

/** Ports of a service that nothing tells the number of, for a workload; by their places. */
export function unnumberedPorts({ service, ports }: ServiceTarget, workload: Workload) {
  if (service.selector === undefined) return [];
  return ports.filter((port) => endpointAt(port, workload) === undefined);
}
