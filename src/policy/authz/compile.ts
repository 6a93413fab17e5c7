import type { Diagnostic } from '#api/diagnostic.ts';
import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
} from '#api/kinds/authorization-policy.ts';
import { compiledRule, compileRule } from '#policy/authz/compile-rule.ts';
import type { AuthzContext, CompiledPolicy, PolicyTarget } from '#policy/authz/compiled-policy.ts';
import { forPlainConnections } from '#policy/authz/plain-connection.ts';
import type { Reading } from '#policy/authz/read-condition.ts';
import { gatewayReferences, referenceFindings } from '#policy/target-references.ts';

/** The annotation that makes a policy a rehearsal, and what counts as yes. */
const DRY_RUN = 'istio.io/dry-run';
const YES: ReadonlySet<string | undefined> = new Set(['1', 't', 'T', 'true', 'True', 'TRUE']);

/** Compiles one policy. Pure: what is wrong with it is part of the result. */
export function compileAuthorizationPolicy(
  object: AuthorizationPolicy,
  context: AuthzContext,
): CompiledPolicy {
  const { name: policy, namespace = '', annotations } = object.metadata;
  const spec = object.spec ?? {};
  const { action = 'ALLOW', rules = [] } = spec;
  const isRoot = namespace === context.rootNamespace;
  const diagnostics: Diagnostic[] = [...referenceFindings(spec, isRoot)];
  const doubt = action === 'ALLOW' ? 'narrow' : 'widen';
  const reading: Reading = { context, namespace, doubt, diagnostics };
  const origin = { namespace, policy, action };
  // Without rules nothing matches. One rule that says so keeps the policy visible in Envoy, as
  // Istio does.
  const nothing = compiledRule({ ...origin, index: 0 }, { sources: [], operations: [] });
  const compiled = rules.flatMap(
    (rule, index) => compileRule(rule, { ...origin, index }, reading) ?? [],
  );
  const http = rules.length === 0 ? [nothing] : compiled;
  const plain = forPlainConnections(http);
  return {
    kind: 'AuthorizationPolicy',
    namespace,
    name: policy,
    action,
    provider: action === 'CUSTOM' ? (spec.provider?.name ?? '') : undefined,
    dryRun: YES.has(annotations?.[DRY_RUN]),
    target: targetOf(spec),
    http,
    tcp: plain.rules,
    diagnostics,
    tcpDiagnostics: plain.diagnostics,
  };
}

function targetOf(spec: AuthorizationPolicySpec): PolicyTarget {
  const references = gatewayReferences(spec);
  if (references) return { kind: 'references', references };
  return { kind: 'labels', labels: spec.selector?.matchLabels ?? {} };
}
