import { create } from '@bufbuild/protobuf';
import {
  type Policy,
  PolicySchema,
  type RBAC,
  RBAC_Action,
  RBACSchema,
} from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import {
  type RBAC as NetworkRbac,
  RBACSchema as NetworkRbacSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { CustomCheck } from '#policy/authz/custom-checks.ts';
import type { RuleSet } from '#policy/authz/selection.ts';
import { checkedBy, verdictPrefix } from '#xds/generate/authz/external-check.ts';
import { buildNothing, buildPermission, type ListenPorts } from '#xds/generate/authz/permission.ts';
import { buildNobody, buildPrincipal } from '#xds/generate/authz/principal.ts';

/** What a filter does with the rules it holds. */
export type RbacAction = 'ALLOW' | 'DENY' | 'LOG';

/** Prefix of the names of a TCP filter's statistics, as Istio has it. */
const TCP_STAT_PREFIX = 'tcp.';

/**
 * The HTTP filter for the rules of one action, in Istio's shape. Without any policy it lets
 * everything through, and ALLOW with policies that have no rule left denies everything.
 * @param principal whose identity `principals` are about
 */
export function buildHttpRbac(
  rules: RuleSet,
  action: RbacAction,
  listenPorts: ListenPorts,
  principal: PrincipalBinding = 'peer',
): HttpRbac {
  return create(HttpRbacSchema, engines(rules, action, { listenPorts, principal }));
}

/** The same for plain connections. */
export function buildNetworkRbac(
  rules: RuleSet,
  action: RbacAction,
  listenPorts: ListenPorts,
): NetworkRbac {
  return create(NetworkRbacSchema, {
    ...engines(rules, action, { listenPorts, principal: 'peer' }),
    statPrefix: TCP_STAT_PREFIX,
  });
}

/** What a rule means on the ports of a filter. */
interface Meaning {
  readonly listenPorts: ListenPorts;
  readonly principal: PrincipalBinding;
}

/**
 * The HTTP filter that tries the rules of a provider, whose verdict the filter after it reads. It
 * denies nothing.
 */
export function buildHttpQuestion(
  { provider, rules }: CustomCheck,
  place: number,
  listenPorts: ListenPorts,
): HttpRbac {
  return create(HttpRbacSchema, question(provider.name, rules, place, listenPorts));
}

/** The same for plain connections. */
export function buildNetworkQuestion(
  { provider, rules }: CustomCheck,
  place: number,
  listenPorts: ListenPorts,
): NetworkRbac {
  return create(NetworkRbacSchema, {
    ...question(provider.name, rules, place, listenPorts),
    statPrefix: TCP_STAT_PREFIX,
  });
}

function question(
  provider: string,
  rules: readonly CompiledRule[],
  place: number,
  listenPorts: ListenPorts,
) {
  const named = rules.map((rule) => ({ ...rule, name: `${checkedBy(provider)}-${rule.name}` }));
  return {
    shadowRules: buildShadowRules(named, listenPorts),
    shadowRulesStatPrefix: verdictPrefix(place),
  };
}

/** Rules of which only the verdict counts. */
export function buildShadowRules(rules: readonly CompiledRule[], listenPorts: ListenPorts): RBAC {
  return buildRules(rules, 'DENY', { listenPorts, principal: 'peer' });
}

/** `rules` are enforced, `shadowRules` (dry run) only reported. */
function engines({ enforced, dryRun }: RuleSet, action: RbacAction, meaning: Meaning) {
  const denies = dryRun !== undefined && action === 'DENY';
  return {
    ...(enforced === undefined ? {} : { rules: buildRules(enforced, action, meaning) }),
    ...(dryRun === undefined ? {} : { shadowRules: buildRules(dryRun, action, meaning) }),
    shadowRulesStatPrefix: denies ? 'istio_dry_run_deny_' : 'istio_dry_run_allow_',
  };
}

function buildRules(rules: readonly CompiledRule[], action: RbacAction, meaning: Meaning): RBAC {
  const policies = rules.map((rule) => [rule.name, buildPolicy(rule, meaning)] as const);
  return create(RBACSchema, {
    action: RBAC_Action[action],
    policies: Object.fromEntries(policies),
  });
}

function buildPolicy(
  { sources, operations }: CompiledRule,
  { listenPorts, principal }: Meaning,
): Policy {
  // Envoy refuses a policy with an empty list, and with it everything else in the filter.
  const isNever = sources.length === 0 || operations.length === 0;
  return create(PolicySchema, {
    permissions: isNever
      ? [buildNothing()]
      : operations.map((clause) => buildPermission(clause, listenPorts)),
    principals: isNever
      ? [buildNobody()]
      : sources.map((clause) => buildPrincipal(clause, principal)),
  });
}
