import { LIMITS } from '#base/limits.ts';
import type { ExtensionProvider } from '#model/extension-provider.ts';
import type { CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { ProviderState } from '#policy/authz/providers.ts';

/** Requests that a provider is asked about: those that one of the rules matches. */
export interface CustomCheck {
  readonly provider: ExtensionProvider;
  /** In the order of their names. */
  readonly rules: readonly CompiledRule[];
}

/** What policies of action CUSTOM come to on one kind of traffic. */
export interface CustomTraffic {
  /** In the order of the providers' names, in which they are asked. */
  readonly checks: readonly CustomCheck[];
  /** Rules whose provider cannot be asked: what they match is denied. */
  readonly denied: readonly CompiledRule[];
}

/** Policies of action CUSTOM for a workload, each with the state of its provider. */
export type CustomPolicies = readonly {
  readonly policy: CompiledPolicy;
  readonly state: ProviderState;
}[];

/** Istio's name for the rule that denies everything where a provider cannot be asked. */
const DENY_ALL = 'default-deny-all-due-to-bad-CUSTOM-action';

/**
 * Which providers are asked about what. A provider that is asked over HTTP knows nothing of plain
 * connections: these stay open to its policies, as in Istio.
 * @param independent Hardening.customProvidersAreIndependent
 */
export function customTraffic(
  policies: CustomPolicies,
  traffic: 'http' | 'tcp',
  independent: boolean,
): CustomTraffic {
  const asked = askedProviders(policies);
  const isBad = policies.some(({ state }) => !asked.has(state.name));
  const [first] = policies;
  if (first && !independent && (isBad || asked.size > 1))
    return { checks: [], denied: [denyAll(first.policy)] };
  const rulesOf = (name: string): CompiledRule[] =>
    policies
      .filter(({ state }) => state.name === name)
      .flatMap(({ policy }) => policy[traffic])
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const denied = policies.filter(({ state }) => !asked.has(state.name));
  return {
    checks: [...asked.values()]
      .filter(({ check }) => traffic === 'http' || check.over === 'grpc')
      .map((provider) => ({ provider, rules: rulesOf(provider.name) })),
    denied: denied.flatMap(({ policy }) => policy[traffic]),
  };
}

/** By name, sorted; those that come after the most that a workload can have are not asked. */
function askedProviders(policies: CustomPolicies): ReadonlyMap<string, ExtensionProvider> {
  const usable = policies.flatMap(({ state: { name, provider, problem } }) =>
    provider && problem === undefined ? [[name, provider] as const] : [],
  );
  const byName = [...new Map(usable)].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(byName.slice(0, LIMITS.authzProvidersPerWorkloadMax));
}

function denyAll({ namespace, name: policy }: CompiledPolicy): CompiledRule {
  const everything = { sources: [[]], operations: [[]] };
  return { name: DENY_ALL, namespace, policy, index: 0, action: 'CUSTOM', ...everything };
}
