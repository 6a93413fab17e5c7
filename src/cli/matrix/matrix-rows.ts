import type { MatrixRow } from '#policy/decide/matrix.ts';
import { OUTSIDE_CALLER } from '#policy/decide/matrix.ts';
import type { Reach } from '#policy/decide/reach.ts';

/** Callers that reach the same of a service. */
export interface Grant {
  /** `namespace/service:port` */
  readonly to: string;
  /** Names of callers, sorted; or one word for all of them. */
  readonly from: readonly string[];
  /** In words: `everything`, `GET /photos*`, `nothing`. */
  readonly what: string;
  readonly rules: readonly string[];
}

/** Everybody, in the mesh and outside; and everybody in the mesh. */
const EVERYBODY = 'everybody';
const EVERY_WORKLOAD = 'every workload';

/** What a caller reaches, in words. */
export function reachWords({ reach, only, except }: Reach): string {
  if (reach === 'none') return 'nothing';
  const what = only.length === 0 ? 'everything' : only.join('; ');
  return except.length === 0 ? what : `${what}, except ${except.join('; ')}`;
}

/** Callers together that reach the same; those that reach nothing only when `all`. */
export function grantsOf(rows: readonly MatrixRow[], all: boolean): readonly Grant[] {
  return rows.flatMap(({ to, from }) => {
    const byWords = Map.groupBy(from, ([, reach]) => reachWords(reach));
    return [...byWords].flatMap(([what, callers]): Grant[] => {
      if (what === 'nothing' && !all) return [];
      const names = callers.map(([name]) => name);
      const rules = [...new Set(callers.flatMap(([, reach]) => reach.rules))].sort();
      return [{ to, from: together(names, [...from.keys()]), what, rules }];
    });
  });
}

/** One word in place of a list of all of them. */
export function together(names: readonly string[], all: readonly string[]): readonly string[] {
  if (names.length === all.length && all.length > 1) return [EVERYBODY];
  const inMesh = all.filter((name) => name !== OUTSIDE_CALLER);
  const isAll = names.length === inMesh.length && !names.includes(OUTSIDE_CALLER);
  return isAll && inMesh.length > 1 ? [EVERY_WORKLOAD] : names;
}
