/** A rule of a policy, out of the id that Envoy's configuration gives it. */
export interface PolicyRule {
  /** `namespace/name` of the policy; the id itself when it has another form. */
  readonly policy: string;
  /** Number of the rule, from 0 on. */
  readonly rule: number | undefined;
}

const RULE_ID = /^ns\[([^\]]*)\]-(?:policy|binding|config|mixer)\[([^\]]*)\]-rule\[(\d+)\]$/;

/** Reads `ns[foo]-policy[bar]-rule[0]`, Istio's form of ids, and those of roles and of Mixer. */
export function parseRuleId(id: string): PolicyRule {
  const match = RULE_ID.exec(id);
  if (!match) return { policy: id, rule: undefined };
  return { policy: `${match[1]}/${match[2]}`, rule: Number(match[3]) };
}
