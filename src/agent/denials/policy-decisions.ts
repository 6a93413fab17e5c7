import { parseRuleId } from '#agent/denials/policy-name.ts';
import { LIMITS } from '#base/limits.ts';

/**
 * What a rule made of a call. `would_…` is said by rules in dry run; `audited` by those of AUDIT
 * policies.
 */
export type PolicyDecision = 'allowed' | 'denied' | 'audited' | 'would_allow' | 'would_deny';

/** Labels of one count. */
interface DecisionLabels {
  /** `namespace/name`; `none` = no ALLOW rule matched, `other` = one of too many. */
  readonly policy: string;
  /** The place of the rule, from 0 on; '' where there is none. */
  readonly rule: string;
  readonly decision: PolicyDecision;
}

/** Stands for the policy where no ALLOW rule matched. */
export const NO_RULE = 'none';

/** Counts calls by rule, for so many rules: names of policies are the users', who may have many. */
export class PolicyDecisions {
  readonly #inc: (labels: DecisionLabels, count: number) => void;
  readonly #known = new Set<string>();

  /** @param inc adds to a metric with these labels */
  constructor(inc: (labels: DecisionLabels, count: number) => void) {
    this.#inc = inc;
  }

  /** @param id `ns[foo]-policy[bar]-rule[0]`, or NO_RULE */
  count(id: string, decision: PolicyDecision, count = 1): void {
    const key = `${id} ${decision}`;
    if (!this.#known.has(key) && this.#known.size >= LIMITS.policySeriesMax) {
      this.#inc({ policy: 'other', rule: '', decision }, count);
      return;
    }
    this.#known.add(key);
    const { policy, rule } = parseRuleId(id);
    this.#inc({ policy, rule: rule === undefined ? '' : String(rule), decision }, count);
  }
}
