import { createHash } from 'node:crypto';
import { LIMITS } from '#base/limits.ts';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { OperationCondition } from '#policy/authz/condition.ts';
import type { RuleSet, TrafficRules } from '#policy/authz/selection.ts';
import { networkCustomConfigs } from '#xds/generate/authz/custom-configs.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { buildNetworkRbac } from '#xds/generate/authz/rbac.ts';
import type { XdsResource } from '#xds/resource.ts';

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

const policiesOf = new WeakMap<TrafficRules, Map<string, TcpPolicy>>();

/** The policy of connections to a port, out of that of a workload. */
export function tcpPolicyAt(
  rules: TrafficRules,
  ports: PortsOfPolicy,
  hardening: HardeningProfile,
): TcpPolicy {
  const policies = policiesOf.get(rules) ?? new Map<string, TcpPolicy>();
  policiesOf.set(rules, policies);
  const narrow = narrowed(rules, ports);
  // Ports of which the same rules speak have the same policy.
  const key = `${hardening} ${narrow.kept.join(' ')}`;
  const policy = policies.get(key) ?? policyOf(narrow.rules, hardening);
  const [oldest] = policies.keys();
  if (oldest !== undefined && policies.size >= LIMITS.authzPortMappingsMax) policies.delete(oldest);
  policies.set(key, policy);
  return policy;
}

function policyOf({ custom, deny, allow }: TrafficRules, hardening: HardeningProfile): TcpPolicy {
  const asked = custom.map((check) => [
    ...networkCustomConfigs([{ ...check, rules: [] }], { listenPorts, hardening }).map(versionOf),
    ...check.rules.map(textOf),
  ]);
  const parts = [asked, deny.enforced?.map(textOf) ?? null, allow.enforced?.map(textOf) ?? null];
  return {
    marker: createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 16),
    isJudged: custom.length > 0 || deny.enforced !== undefined || allow.enforced !== undefined,
  };
}

/** Of each rule, once: in a change of many rules most are as they were. */
const texts = new WeakMap<CompiledRule, string>();

/** What a rule means to Envoy, as a short text. */
function textOf(rule: CompiledRule): string {
  const known = texts.get(rule);
  if (known !== undefined) return known;
  const set = { enforced: [rule], dryRun: undefined };
  const text = versionOf(
    extensionConfig('rule', NetworkRbacSchema, buildNetworkRbac(set, 'DENY', listenPorts)),
  );
  texts.set(rule, text);
  return text;
}

function listenPorts(port: number): readonly number[] {
  return [port];
}

function versionOf({ version }: XdsResource): string {
  return version;
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
