/** A proxy in which an object is not in force. */
export interface Behind {
  /** `<workload>.<namespace>`. */
  readonly proxy: string;
  /** `failed`: nothing could be made for it. */
  readonly why: 'refused' | 'waiting' | 'failed';
  /** Envoy's words about a refusal, or what failed. */
  readonly message: string;
}

/** Names, of which the first few are told. */
export interface SomeNames {
  readonly count: number;
  readonly first: readonly string[];
}

/** How far one object is in force. */
export interface Verdict {
  /** Of the object that this is about. */
  readonly generation: number | undefined;
  /** About which it decides. */
  readonly workloads: SomeNames;
  /** Where it selects nobody: labels that may be meant. */
  readonly near: readonly string[];
  /** Those of them whose proxy is not connected. */
  readonly away: SomeNames;
  /** Connected. */
  readonly proxies: number;
  /** In which it is in force. */
  readonly enforcing: number;
  /** The first few of the others. */
  readonly behind: readonly Behind[];
}

/** Names that are told. */
const NAMES_MAX = 5;
/** No names. */
export const NOBODY: SomeNames = { count: 0, first: [] };

/** The first few of all names in the lists, in order. */
export function firstOf(lists: readonly (readonly string[])[]): SomeNames {
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  const first = lists.flatMap((list) => list.toSorted().slice(0, NAMES_MAX));
  return { count, first: first.sort().slice(0, NAMES_MAX) };
}

const URGENCY = ['refused', 'failed', 'waiting'] as const;

function byUrgency(a: Behind, b: Behind): number {
  if (a.why !== b.why) return URGENCY.indexOf(a.why) - URGENCY.indexOf(b.why);
  return a.proxy < b.proxy ? -1 : 1;
}

/** The few that are told: refusals before those of whom nothing is known yet. */
export function mostUrgent(behind: readonly Behind[]): readonly Behind[] {
  return behind.toSorted(byUrgency).slice(0, NAMES_MAX);
}
