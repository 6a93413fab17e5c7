import type { Diagnostic } from '#api/diagnostic.ts';
import { warning } from '#api/field-error.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { authorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { Findings } from '#policy/findings.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { Connections, ProviderAnswers } from '#xds/serve/connection-reports.ts';

/** What is known of how providers of external authorization answer. */
export interface ProviderEvidence {
  readonly nodes: readonly ProxyNode[];
  readonly connectionsOf: (node: ProxyNode) => Connections | undefined;
  /** The objects that decide about the workload of a proxy. */
  readonly objectsOf: (node: ProxyNode) => readonly ApiObject[];
}

/** Workloads that a message names. */
const NAMES_MAX = 5;

type Bad = Exclude<ProviderAnswers['state'], 'answering'>;

/**
 * The findings, and of each CUSTOM policy the workloads whose Envoys got no answer when they asked
 * its provider last. Nobody asks a provider to find that out: what is told happened to callers.
 */
export function withProviderHealth(findings: Findings, evidence: ProviderEvidence): Findings {
  const troubled = new Map<ApiObject, Map<Bad, string[]>>();
  for (const node of evidence.nodes) {
    for (const { name, state } of evidence.connectionsOf(node)?.providers ?? []) {
      if (state === 'answering') continue;
      for (const policy of evidence.objectsOf(node).filter((one) => asks(one, name))) {
        const byState = troubled.get(policy) ?? new Map<Bad, string[]>();
        troubled.set(policy, byState);
        const names = byState.get(state) ?? [];
        byState.set(state, names);
        names.push(`${node.workloadName}.${node.namespace}`);
      }
    }
  }
  if (troubled.size === 0) return findings;
  const all = new Map(findings);
  for (const [policy, byState] of troubled) {
    const found = [...byState].map(([state, names]) => diagnosticOf(policy, state, names));
    all.set(policy, [...(findings.get(policy) ?? []), ...found]);
  }
  return all;
}

function asks(object: ApiObject, provider: string): boolean {
  const { spec } = object as AuthorizationPolicy;
  return object.kind === authorizationPolicy.kind && spec?.provider?.name === provider;
}

function diagnosticOf(policy: ApiObject, state: Bad, names: readonly string[]): Diagnostic {
  const provider = (policy as AuthorizationPolicy).spec?.provider?.name ?? '';
  const some = names.toSorted().slice(0, NAMES_MAX).join(', ');
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : '';
  const field = 'spec.provider.name';
  const remedy = 'look at its service, its log and its timeout';
  if (state === 'flaky') {
    const message = `the provider ${provider} gave no answer to some questions of ${some}${more}`;
    return warning(field, message, remedy);
  }
  const message = `the provider ${provider} gave no answer when ${some}${more} asked last`;
  return { severity: 'error', field, message, remedy };
}
