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

/** Of whom a matrix is told; what is left out says nothing. */
export interface MatrixFilter {
  /** A namespace, `namespace/account`, or `outside`. */
  readonly from?: string | undefined;
  /** A namespace, or `namespace/service`. */
  readonly to?: string | undefined;
}

/** The rows and callers that a filter leaves. */
export function filteredRows(
  rows: readonly MatrixRow[],
  { from, to }: MatrixFilter,
): readonly MatrixRow[] {
  const fits = (name: string, wanted: string | undefined): boolean => {
    if (wanted === undefined || name === wanted) return true;
    return name.startsWith(wanted) && /^[/: ]/.test(name.slice(wanted.length));
  };
  return rows
    .filter((row) => fits(row.to, to))
    .map((row) => ({ ...row, from: new Map([...row.from].filter(([name]) => fits(name, from))) }));
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

function isThrough(name: string): boolean {
  return name.startsWith(`${OUTSIDE_CALLER} `);
}

/** One word in place of a list of all of them. */
export function together(names: readonly string[], all: readonly string[]): readonly string[] {
  // Without those outside it is not everybody who is spoken of.
  if (all.length < 2 || !all.includes(OUTSIDE_CALLER)) return names;
  // Ways through gateways are told one by one.
  const [ways, callers] = [names.filter(isThrough), names.filter((name) => !isThrough(name))];
  if (ways.length > 0 || all.some(isThrough))
    return [
      ...together(
        callers,
        all.filter((name) => !isThrough(name)),
      ),
      ...ways,
    ];
  if (names.length === all.length) return [EVERYBODY];
  const inMesh = all.filter((name) => name !== OUTSIDE_CALLER);
  const isAll = names.length === inMesh.length && !names.includes(OUTSIDE_CALLER);
  return isAll && inMesh.length > 1 ? [EVERY_WORKLOAD] : names;
}
