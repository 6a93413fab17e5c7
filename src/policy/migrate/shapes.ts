import { type Labels, labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PolicyFinder } from '#policy/authn/workload-policies.ts';
import {
  areCompatible,
  distinct,
  selectorsIn,
  shownLabels,
  workloadWith,
} from '#policy/migrate/workload-shape.ts';

/** A workload that both meshes are asked about. */
export interface Shape {
  readonly workload: Workload;
  /** How it is told to users. */
  readonly shown: string;
  /**
   * It has the labels of two selectors that do not contain each other: nobody said that there is
   * such a workload.
   */
  readonly isSupposed: boolean;
}

/** A namespace of which nothing is known: there the policies of the mesh count. */
const OTHER_NAMESPACE = 'any-other-namespace';
/** Pairs of selectors of one namespace that are tried. */
const PAIRS_MAX = 200;

/**
 * Workloads that stand for all that there may be: the known ones, one for each selector, one
 * without labels in each namespace, and those that two selectors meet in.
 */
export function shapesOf(mesh: MeshSnapshot): readonly Shape[] {
  const namespaces = new Set([
    ...mesh.services.all().map(({ namespace }) => namespace),
    ...mesh.authenticationPolicies.namespaces(),
    ...mesh.peerAuthentications.namespaces(),
    ...mesh.serviceRoleBindings.namespaces(),
    ...mesh.authorizationPolicies.namespaces(),
    mesh.settings.rootNamespace,
    OTHER_NAMESPACE,
  ]);
  return [...namespaces].sort().flatMap((namespace) => shapesIn(namespace, mesh));
}

function shapesIn(namespace: string, mesh: MeshSnapshot): readonly Shape[] {
  const finder = new PolicyFinder(mesh.settings.clusterDomain);
  const targets = finder.targetsIn(namespace, mesh);
  const written = [
    ...mesh.peerAuthentications.in(namespace),
    ...mesh.requestAuthentications.in(namespace),
    ...mesh.authorizationPolicies.in(namespace),
  ]
    .map(({ spec }) => spec?.selector?.matchLabels)
    .filter((labels) => labels !== undefined);
  const selectors = distinct([{}, ...selectorsIn(namespace, mesh, targets), ...written]);
  const known = mesh.workloads.in(namespace);
  const shape = (labels: Labels, isSupposed: boolean): Shape => ({
    workload: workloadWith(labels, namespace, mesh),
    shown: `workloads ${shownLabels(labels) || 'without labels'} in ${namespace}`,
    isSupposed,
  });
  const shapes: readonly Shape[] = [
    ...known.map((workload) => ({
      workload,
      shown: `workload ${namespace}/${workload.name}`,
      isSupposed: false,
    })),
    ...selectors.map((labels) => shape(labels, false)),
    ...meetings(selectors).map((labels) => shape(labels, true)),
  ];
  return unlike(shapes, mesh);
}

/** Of workloads that policies cannot tell apart the first. */
function unlike(shapes: readonly Shape[], mesh: MeshSnapshot): readonly Shape[] {
  const services = mesh.services.in(shapes[0]?.workload.namespace ?? '');
  const byAddress = services.some(({ source }) => source.kind === 'ServiceEntry');
  const byText = new Map<string, Shape>();
  for (const shape of shapes) {
    const { labels, ports, applicationPorts, address } = shape.workload;
    const told = [labels, ports, applicationPorts].map((one) => Object.entries(one).sort());
    const text = JSON.stringify([told, byAddress && address]);
    if (!byText.has(text)) byText.set(text, shape);
  }
  return [...byText.values()];
}

/** Labels of workloads in which two selectors meet that do not contain each other. */
function meetings(selectors: readonly Labels[]): readonly Labels[] {
  const pairs = selectors.flatMap((a, index) =>
    selectors.slice(index + 1).flatMap((b) => {
      const oneIsInOther = labelsMatch(a, b) || labelsMatch(b, a);
      return oneIsInOther || !areCompatible(a, b) ? [] : [{ ...a, ...b }];
    }),
  );
  return distinct(pairs).slice(0, PAIRS_MAX);
}
