import type { Diagnostic } from '#api/diagnostic.ts';
import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import { type Condition, needsHttp } from '#policy/authz/condition.ts';

/** Rules for connections of which nothing is known but the connection. */
export interface PlainRules {
  readonly rules: readonly CompiledRule[];
  /** What these rules do that their author may not expect. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * What is left of rules where there is no HTTP. As Istio does: an ALLOW rule that needs HTTP allows
 * nothing; any other rule is taken without the conditions that need it and so matches more.
 */
export function forPlainConnections(rules: readonly CompiledRule[]): PlainRules {
  const diagnostics: Diagnostic[] = [];
  const plain = rules.flatMap((rule) => {
    const lost = [...rule.sources, ...rule.operations].flat().filter(needsHttp);
    if (lost.length === 0) return [rule];
    diagnostics.push(diagnostic(rule, lost));
    return rule.action === 'ALLOW' ? [] : [widened(rule)];
  });
  return { rules: plain, diagnostics };
}

function widened(rule: CompiledRule): CompiledRule {
  const rest = <C extends Condition>(clause: Clause<C>): Clause<C> =>
    clause.filter((condition) => !needsHttp(condition));
  return { ...rule, sources: rule.sources.map(rest), operations: rule.operations.map(rest) };
}

function diagnostic(rule: CompiledRule, lost: readonly Condition[]): Diagnostic {
  const fields = lost.map(({ values, field, notField }) => (values.length > 0 ? field : notField));
  const named = [...new Set(fields)].join(', ');
  const effect =
    rule.action === 'ALLOW'
      ? 'it allows nothing there'
      : 'there it matches without looking at them';
  return {
    severity: 'warning',
    field: `spec.rules[${rule.index}]`,
    message: `on ports that are not HTTP, ${named} cannot be known: ${effect}`,
  };
}
