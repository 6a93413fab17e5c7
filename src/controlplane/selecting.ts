import type { ApiObject } from '#api/object.ts';

/** What kinds say about whom they are for. */
interface Selecting {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly workloadSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targets?: readonly unknown[];
  readonly targetRef?: unknown;
  readonly targetRefs?: readonly unknown[];
  readonly mode?: string;
}

function specOf(object: ApiObject): Selecting {
  return (object as { readonly spec?: Selecting }).spec ?? {};
}

/** The labels that an object selects workloads by; none: it does not. */
export function selectorOf(object: ApiObject): Readonly<Record<string, string>> {
  const { selector, workloadSelector } = specOf(object);
  return selector?.matchLabels ?? workloadSelector?.matchLabels ?? {};
}

/** Kinds that are for all workloads of a namespace, or of the mesh, unless they say otherwise. */
const FOR_ALL: ReadonlySet<string> = new Set([
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
  'Policy',
  'MeshPolicy',
  'DestinationRule',
]);

/** Whether an object is for all workloads there are. */
export function isForAll(object: ApiObject): boolean {
  const { targets = [], targetRef, targetRefs = [] } = specOf(object);
  const isNarrowed = targets.length > 0 || targetRef !== undefined || targetRefs.length > 0;
  const selects = Object.keys(selectorOf(object)).length > 0;
  return FOR_ALL.has(object.kind) && !isNarrowed && !selects;
}

/** Whether an object says that nothing is to be enforced. */
export function isOff(object: ApiObject): boolean {
  const isConfig = object.kind === 'RbacConfig' || object.kind === 'ClusterRbacConfig';
  return isConfig && (specOf(object).mode ?? 'OFF') === 'OFF';
}
