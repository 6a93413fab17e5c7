import { reachWords, together } from '#cli/matrix/matrix-rows.ts';
import type { MatrixRow } from '#policy/decide/matrix.ts';
import { NO_REACH, type Reach } from '#policy/decide/reach.ts';

/** Callers for which one version of a mesh has another answer than the other. */
export interface ReachChange {
  readonly to: string;
  readonly from: readonly string[];
  /** In words; `nothing` also where the service is not there. */
  readonly before: string;
  readonly after: string;
}

/** What is different between two versions of a mesh, by service, then by what changed. */
export function changesBetween(
  before: readonly MatrixRow[],
  after: readonly MatrixRow[],
): readonly ReachChange[] {
  const old = new Map(before.map((row) => [row.to, row.from]));
  const now = new Map(after.map((row) => [row.to, row.from]));
  const services = [...new Set([...old.keys(), ...now.keys()])].sort();
  return services.flatMap((to) => {
    const was = old.get(to) ?? new Map<string, Reach>();
    const is = now.get(to) ?? new Map<string, Reach>();
    const names = [...new Set([...was.keys(), ...is.keys()])].sort();
    const changed = names.flatMap((name) => {
      const change = {
        before: reachWords(was.get(name) ?? NO_REACH),
        after: reachWords(is.get(name) ?? NO_REACH),
      };
      return change.before === change.after ? [] : [{ name, ...change }];
    });
    const byWords = Map.groupBy(changed, (one) => JSON.stringify([one.before, one.after]));
    return [...byWords.values()].map((group) => {
      const callers = group.map((one) => one.name);
      const [{ before: words, after: words2 } = { before: '', after: '' }] = group;
      return { to, from: together(callers, names), before: words, after: words2 };
    });
  });
}
