import { parseStats } from '#agent/envoy/readiness.ts';
import { LIMITS } from '#base/limits.ts';

/**
 * How it went when a workload asked a provider of external authorization last. `flaky`: some of
 * the questions got an answer.
 */
export interface ProviderReport {
  readonly name: string;
  readonly state: 'answering' | 'flaky' | 'failing';
}

/** What the names of Envoy's counts of questions and answers look like, as an expression. */
export const PROVIDER_COUNTS =
  '(http\\.(inbound_0\\.0\\.0\\.0|gateway)_.*\\.)?ext_authz\\..*\\.(ok|denied|error)';

/** Of filters for HTTP, and of those for connections. */
const NAME =
  /^(?:http\.(?:inbound_0\.0\.0\.0_[^;]*;(?:plaintext)?|gateway_\d+)\.ext_authz|ext_authz\.tcp)\.(.+)\.(ok|denied|error)$/;

/**
 * Tells from Envoy's counts whether providers answer. What counts is the last time that one was
 * asked: of one that nobody asks nothing new is known.
 */
export class ProviderAnswers {
  #counts: ReadonlyMap<string, number> = new Map();
  readonly #states = new Map<string, ProviderReport['state']>();

  /**
   * Takes Envoy's statistics in text form.
   * @param isFirst whether they are the first of a run of Envoy, whose counts begin at nothing
   * @returns whether something is other than before
   */
  take(text: string, isFirst: boolean): boolean {
    const before = isFirst ? new Map<string, number>() : this.#counts;
    const counts = new Map<string, number>();
    const asked = new Map<string, { answers: number; errors: number }>();
    for (const [stat, value] of parseStats(text)) {
      const [, name, what] = NAME.exec(stat) ?? [];
      if (name === undefined) continue;
      counts.set(stat, value);
      const last = before.get(stat) ?? 0;
      const more = value >= last ? value - last : value;
      const sums = asked.get(name) ?? { answers: 0, errors: 0 };
      if (what === 'error') sums.errors += more;
      else sums.answers += more;
      asked.set(name, sums);
    }
    this.#counts = counts;
    let hasNews = false;
    for (const [name, sums] of asked) {
      const state = stateOf(sums);
      if (state === undefined || this.#states.get(name) === state) continue;
      if (!this.#states.has(name) && this.#states.size >= LIMITS.reportedProvidersMax) continue;
      this.#states.set(name, state);
      hasNews = true;
    }
    return hasNews;
  }

  /** By name. */
  report(): readonly ProviderReport[] {
    const sorted = [...this.#states].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([name, state]) => ({ name, state }));
  }
}

function stateOf({ answers, errors }: { readonly answers: number; readonly errors: number }) {
  if (answers + errors === 0) return undefined;
  if (errors === 0) return 'answering' as const;
  return answers === 0 ? ('failing' as const) : ('flaky' as const);
}
