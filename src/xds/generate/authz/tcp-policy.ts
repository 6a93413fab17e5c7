import { createHash } from 'node:crypto';
import { LIMITS } from '#base/limits.ts';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { OperationCondition } from '#policy/authz/condition.ts';
import type { RuleSet, TrafficRules } from '#policy/authz/selection.ts';
import { networkCustomConfigs } from '#xds/generate/authz/custom-configs.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { AUTHZ_CONFIG_NAMES } from '#xds/generate/authz/filters.ts';
import { buildNetworkRbac } from '#xds/generate/authz/rbac.ts';

/** What is enforced on the connections to one port that are not HTTP. Plain JSON values. */
export interface TcpPolicy {
  /**
   * Changes when, and only when, what is enforced on the port does: connections from before were
   * judged by something else.
   */
  readonly marker: string;
  /** Whether anything is enforced there. */
  readonly isJudged: boolean;
}

/** One port of a workload, or all those that are none of `beside`. */
export type PortsOfPolicy = number | { readonly beside: readonly number[] };

const known = new WeakMap<TrafficRules, Map<string, TcpPolicy>>();

/** The policy of connections to a port, out of that of a workload. */
export function tcpPolicyAt(
  rules: TrafficRules,
  ports: PortsOfPolicy,
  hardening: HardeningProfile,
): TcpPolicy {
  const policies = known.get(rules) ?? new Map<string, TcpPolicy>();
  known.set(rules, policies);
  const narrow = narrowed(rules, ports);
  // Ports of which the same rules speak have the same policy.
  const key = `${hardening} ${narrow.kept.join(' ')}`;
  const policy = policies.get(key) ?? policyOf(narrow.rules, hardening);
  const [oldest] = policies.keys();
  if (oldest !== undefined && policies.size >= LIMITS.authzPortMappingsMax) policies.delete(oldest);
  policies.set(key, policy);
  return policy;
}

function policyOf(rules: TrafficRules, hardening: HardeningProfile): TcpPolicy {
  const { custom, deny, allow } = rules;
  const listenPorts = (port: number): readonly number[] => [port];
  const resources = [
    ...networkCustomConfigs(custom, { listenPorts, hardening }),
    ...(
      [
        [AUTHZ_CONFIG_NAMES.tcp.deny, 'DENY', deny],
        [AUTHZ_CONFIG_NAMES.tcp.allow, 'ALLOW', allow],
      ] as const
    ).map(([name, action, set]) =>
      extensionConfig(name, NetworkRbacSchema, buildNetworkRbac(set, action, listenPorts)),
    ),
  ];
  const versions = resources.map(({ version }) => version).join(' ');
  return {
    marker: createHash('sha256').update(versions).digest('base64url').slice(0, 16),
    isJudged: custom.length > 0 || deny.enforced !== undefined || allow.enforced !== undefined,
  };
}

/** The enforced rules that may match connections to the ports, and their places among all. */
function narrowed(
  rules: TrafficRules,
  ports: PortsOfPolicy,
): { readonly rules: TrafficRules; readonly kept: readonly number[] } {
  const kept: number[] = [];
  let at = 0;
  const keep = (all: readonly CompiledRule[]): readonly CompiledRule[] =>
    all.filter((rule) => {
      at += 1;
      const isKept = rule.operations.some((clause) => mayHold(clause, ports));
      if (isKept) kept.push(at);
      return isKept;
    });
  const enforced = ({ enforced: all }: RuleSet): RuleSet => ({
    enforced: all && keep(all),
    dryRun: undefined,
  });
  const { custom, deny, allow, audit } = rules;
  const denying = enforced(deny);
  const checks = custom.map((check) => ({ ...check, rules: keep(check.rules) }));
  return {
    rules: {
      custom: checks.filter(({ rules: left }) => left.length > 0),
      // Nothing that denies is no policy; nothing that allows is one.
      deny: denying.enforced?.length === 0 ? { ...denying, enforced: undefined } : denying,
      allow: enforced(allow),
      audit,
    },
    kept,
  };
}

function mayHold(clause: Clause<OperationCondition>, ports: PortsOfPolicy): boolean {
  return clause.every((condition) => {
    if (condition.on !== 'port') return true;
    const { values, notValues } = condition;
    if (typeof ports === 'number')
      return (values.length === 0 || values.includes(ports)) && !notValues.includes(ports);
    return values.length === 0 || values.some((value) => !ports.beside.includes(value));
  });
}
