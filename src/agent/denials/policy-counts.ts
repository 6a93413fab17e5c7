import { NO_RULE, type PolicyDecision } from '#agent/denials/policy-decisions.ts';
import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { parseStats } from '#agent/envoy/readiness.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';

export interface PolicyCountsDeps {
  readonly admin: Pick<EnvoyAdmin, 'get'>;
  readonly log: Logger;
  readonly metrics: Pick<AgentMetrics, 'policies'>;
  /** Tells one run of Envoy from the next; undefined while none runs. */
  readonly run: () => number | undefined;
}

/** Of calls to a workload, and to a gateway. */
const PREFIX = '^http\\.(?:inbound_0\\.0\\.0\\.0|gateway)_';

/** Where Envoy's admin interface tells the counts; what was never used is left out. */
const PATH = `/stats?usedonly&filter=${encodeURIComponent(`${PREFIX}.*\\.rbac\\.istio_`)}`;

/** Filter, rule where it is about one, and what happened. */
const NAME = new RegExp(
  `${PREFIX}.*\\.rbac\\.istio_(dry_run_)?(allow|deny|audit)_\\.(?:policy\\.(.*)\\.)?(?:shadow_)?(allowed|denied)$`,
);

/** By filter, whether it is a dry run, and what happened. Nothing else is a rule's doing. */
const DECISIONS: Readonly<Record<string, PolicyDecision>> = {
  'allow allowed': 'allowed',
  'allow denied': 'denied',
  'deny denied': 'denied',
  'audit allowed': 'audited',
  'dry_run_allow allowed': 'would_allow',
  'dry_run_allow denied': 'would_deny',
  'dry_run_deny denied': 'would_deny',
};

/** One number of an Envoy about a rule. */
interface PolicyCount {
  readonly id: string;
  readonly decision: PolicyDecision;
}

/**
 * What the rules of a workload decided, out of what its Envoy counts (`track_per_rule_stats`).
 * Envoy is asked when somebody reads the metrics.
 */
export class PolicyCounts {
  readonly #deps: PolicyCountsDeps;
  #run: number | undefined;
  #counts: ReadonlyMap<string, number> = new Map();

  constructor(deps: PolicyCountsDeps) {
    this.#deps = deps;
  }

  /** Adds what happened since the last look. */
  async look(): Promise<void> {
    const { admin, log, run, metrics } = this.#deps;
    const asked = run();
    if (asked === undefined) return;
    let counts: ReadonlyMap<string, number>;
    try {
      const { status, body } = await admin.get(PATH);
      if (status !== 200 || asked !== run()) return;
      counts = parseStats(body);
    } catch (error) {
      if (!isBulwarkError(error)) throw error;
      log.debug('Envoy does not tell what its rules decided', { error });
      return;
    }
    const before = asked === this.#run ? this.#counts : new Map<string, number>();
    this.#run = asked;
    this.#counts = counts;
    for (const [name, value] of counts) {
      const last = before.get(name) ?? 0;
      // A number begins anew when all that it is about went away.
      const more = value >= last ? value - last : value;
      const about = more > 0 ? parseName(name) : undefined;
      if (about) metrics.policies.count(about.id, about.decision, more);
    }
  }
}

/** What a statistic is about; undefined for those that no rule, or lack of one, is the cause of. */
function parseName(name: string): PolicyCount | undefined {
  const [, dryRun = '', filter = '', id, outcome = ''] = NAME.exec(name) ?? [];
  const decision = DECISIONS[`${dryRun}${filter} ${outcome}`];
  if (decision === undefined) return undefined;
  if (id !== undefined) return { id, decision };
  // The sum over rules, but for what ALLOW filters deny: that no rule does.
  return filter === 'allow' && outcome === 'denied' ? { id: NO_RULE, decision } : undefined;
}
