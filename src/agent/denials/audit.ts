import { type Call, callOf, parseAccessLine, textOf } from '#agent/denials/access-line.ts';
import { parseRuleId } from '#agent/denials/policy-name.ts';
import { parseRefusal } from '#agent/denials/refusal.ts';

/** A request or connection that a rule of an AUDIT policy matched. */
export interface AuditRecord extends Call {
  /** `namespace/name` of the policy; of several the first in the order of their names. */
  readonly policy: string;
  /** Number of the rule, from 0 on. */
  readonly rule: number | undefined;
  readonly decision: 'allowed' | 'denied';
  /**
   * `namespace/name` of the policy that said so; undefined when none did, because no ALLOW policy
   * selects the workload or none matches, and for an allowed connection that is not HTTP.
   */
  readonly decidedBy: string | undefined;
  /** Status of the answer; undefined for a connection. */
  readonly status: number | undefined;
}

/** Lines without this are not worth parsing. */
const HINT = '"audit_policy"';

/** What a line of an Envoy's access log says was audited; undefined for all other lines. */
export function parseAudit(text: string): AuditRecord | undefined {
  if (!text.includes(HINT)) return undefined;
  const line = parseAccessLine(text);
  const id = line && textOf(line, 'audit_policy');
  if (!line || id === undefined) return undefined;
  const status = line.response_code;
  const refusal = parseRefusal(text);
  const isDenied = refusal?.kind === 'policy';
  const decider = isDenied ? refusal.policy : textOf(line, 'allow_policy');
  return {
    ...callOf(line),
    ...parseRuleId(id),
    decision: isDenied ? 'denied' : 'allowed',
    decidedBy: decider && parseRuleId(decider).policy,
    status: typeof status === 'number' ? status : undefined,
  };
}
