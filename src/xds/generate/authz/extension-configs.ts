import { createHash } from 'node:crypto';
import { LIMITS } from '#base/limits.ts';
import { ExtensionWithMatcherSchema } from '#gen/envoy-api/envoy/extensions/common/matching/v3/extension_matcher_pb.js';
import {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { RuleSet, TrafficRules, WorkloadAuthorization } from '#policy/authz/selection.ts';
import { agentConfigs } from '#xds/generate/authz/agent-configs.ts';
import { agentQuestion } from '#xds/generate/authz/agent-question.ts';
import { type CallerMeaning, filterByCaller } from '#xds/generate/authz/by-caller.ts';
import {
  type CustomMeaning,
  httpCustomConfigs,
  networkCustomConfigs,
} from '#xds/generate/authz/custom-configs.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import {
  AUDIT_PREFIX,
  AUTHZ_CONFIG_NAMES,
  boundName,
  ENFORCED_PREFIX,
} from '#xds/generate/authz/filters.ts';
import { denyingConfig } from '#xds/generate/authz/joint-rules.ts';
import type { ListenPorts } from '#xds/generate/authz/permission.ts';
import { buildHttpRbac, buildNetworkRbac, type RbacAction } from '#xds/generate/authz/rbac.ts';
import type { XdsResource } from '#xds/resource.ts';

/** What the form of a proxy's authorization depends on beside the policies. */
export interface AuthzConfigOptions {
  /**
   * In explicit mode, the port on which the proxy takes calls for each port of the workload
   * (ProxyNode.explicit): policies name the workload's ports, Envoy sees its own. Undefined where
   * both are the same.
   */
  readonly listenPorts?: readonly { readonly port: number; readonly listen: number }[] | undefined;
  /** Whose identity principals are about on the ports of the workload; the peer's if left out. */
  readonly bindings?: ReadonlySet<PrincipalBinding>;
  /** `strict` if left out. */
  readonly hardening?: HardeningProfile;
  /** Whether requests are counted by the rule that decides; not if left out. */
  readonly countsRules?: boolean;
  /** The names of the trust domain; none if left out. */
  readonly trustDomains?: readonly string[];
  /** Rules from which on callers meet only those that may match them; never if left out. */
  readonly largeFrom?: number;
}

/** The options, with what holds when they are left out. */
type Meaning = CustomMeaning & CallerMeaning & { readonly countsRules: boolean };

/** Everything that one authorization comes to under one mapping of ports. */
interface AuthzConfigs {
  readonly resources: readonly XdsResource[];
  /** Changes when, and only when, what is enforced on HTTP does. */
  readonly httpMarker: string;
}

const PEER_ONLY: readonly PrincipalBinding[] = ['peer'];
const BOTH: readonly PrincipalBinding[] = ['peer', 'origin'];

/** By the authorization, then by what the options do to it. */
const encoded = new WeakMap<WorkloadAuthorization, Map<string, AuthzConfigs>>();

/**
 * The configurations that the filters of `httpAuthzFilters` and `networkAuthzFilters` ask for:
 * always all of them, since a missing one answers 500. Proxies with the same authorization, on the
 * same ports as far as it names ports, get the same objects.
 */
export function authzExtensionConfigs(
  authorization: WorkloadAuthorization,
  options: AuthzConfigOptions,
): readonly XdsResource[] {
  return configsOf(authorization, options).resources;
}

/** For the metadata of HTTP filter chains, which a change of it drains. */
export function httpMarker(
  authorization: WorkloadAuthorization,
  options: AuthzConfigOptions,
): string {
  return configsOf(authorization, options).httpMarker;
}

function configsOf(
  authorization: WorkloadAuthorization,
  options: AuthzConfigOptions,
): AuthzConfigs {
  const { listenPorts, bindings, hardening = 'strict', countsRules = false } = options;
  const { trustDomains = [], largeFrom = Number.POSITIVE_INFINITY } = options;
  const named = listenPorts?.filter(({ port }) => portsNamedIn(authorization).has(port));
  const byPorts = encoded.get(authorization) ?? new Map<string, AuthzConfigs>();
  encoded.set(authorization, byPorts);
  const principals = bindings?.has('origin') ? BOTH : PEER_ONLY;
  const mapping = named?.map(({ port, listen }) => `${port}>${listen}`).join(' ') ?? 'as named';
  const key = `${principals.join(' ')} ${mapping} ${hardening} ${countsRules} ${largeFrom}`;
  const known = byPorts.get(key);
  if (known !== undefined) return known;
  const listensFor = (port: number): readonly number[] => {
    if (named === undefined) return [port];
    return named.filter((mapped) => mapped.port === port).map(({ listen }) => listen);
  };
  const meaning = { listenPorts: listensFor, hardening, countsRules, trustDomains, largeFrom };
  const configs = encode(authorization, meaning, principals);
  // Mappings of proxies that are gone are not told from others: the oldest makes room.
  const [oldest] = byPorts.keys();
  if (oldest !== undefined && byPorts.size >= LIMITS.authzPortMappingsMax) byPorts.delete(oldest);
  byPorts.set(key, configs);
  return configs;
}

function encode(
  authorization: WorkloadAuthorization,
  meaning: Meaning,
  principals: readonly PrincipalBinding[],
): AuthzConfigs {
  const { http, tcp } = authorization;
  const { listenPorts } = meaning;
  const tcpResources = [
    ...networkCustomConfigs(tcp.custom, meaning),
    denyingConfig(
      AUTHZ_CONFIG_NAMES.tcp.deny,
      NetworkRbacSchema,
      buildNetworkRbac(tcp.deny, 'DENY', listenPorts),
      AUTHZ_CONFIG_NAMES.tcp.allow,
    ),
    extensionConfig(
      AUTHZ_CONFIG_NAMES.tcp.allow,
      NetworkRbacSchema,
      buildNetworkRbac(tcp.allow, 'ALLOW', listenPorts),
    ),
  ];
  const custom = httpCustomConfigs(http.custom, meaning);
  const agent = agentConfigs(agentQuestion(authorization), listenPorts);
  const rules = principals.map((principal) => httpResources(http, meaning, principal));
  const tcpAudit = tcpAuditConfig(tcp.audit, listenPorts);
  // What is only written down need not end open connections.
  const deciding = rules.flatMap(({ enforced }) => enforced);
  return {
    resources: [
      ...custom,
      ...agent,
      ...rules.flatMap(({ audit, enforced }) => [audit, ...enforced]),
      ...tcpResources,
      tcpAudit,
    ],
    httpMarker: markerOf([...custom, ...agent, ...deciding]),
  };
}

function markerOf(resources: readonly XdsResource[]): string {
  const versions = resources.map(({ version }) => version).join(' ');
  return createHash('sha256').update(versions).digest('base64url').slice(0, 16);
}

/**
 * Only shadow rules of this filter say which one of them matched, and only enforced ones make that
 * it is written down: so they are there twice.
 */
function tcpAuditConfig(rules: RuleSet, listenPorts: ListenPorts): XdsResource {
  const audit = buildNetworkRbac(rules, 'LOG', listenPorts);
  if (audit.rules) audit.shadowRules = audit.rules;
  audit.shadowRulesStatPrefix = AUDIT_PREFIX;
  return extensionConfig(AUTHZ_CONFIG_NAMES.tcp.audit, NetworkRbacSchema, audit);
}

function httpResources(
  rules: TrafficRules,
  meaning: Meaning,
  principal: PrincipalBinding,
): { readonly audit: XdsResource; readonly enforced: readonly XdsResource[] } {
  const { audit, deny, allow } = AUTHZ_CONFIG_NAMES.http;
  // Envoy keeps a number for each rule that ever matched, on each of its ports.
  const trackPerRuleStats =
    meaning.countsRules && rulesOf(rules).length <= LIMITS.authzCountedRulesMax;
  // The filters of a chain share one place in the metadata: without a prefix the next would
  // overwrite the one before.
  const builder = (action: RbacAction, rulesStatPrefix: string) => (set: RuleSet) =>
    Object.assign(buildHttpRbac(set, action, meaning.listenPorts, principal), {
      rulesStatPrefix,
      trackPerRuleStats,
    });
  const denying = builder('DENY', ENFORCED_PREFIX.deny);
  const config = (name: string, set: RuleSet, build: (set: RuleSet) => HttpRbac): XdsResource => {
    const split = principal === 'peer' ? filterByCaller(set, meaning, build) : undefined;
    return split
      ? extensionConfig(name, ExtensionWithMatcherSchema, split)
      : extensionConfig(name, HttpRbacSchema, build(set));
  };
  const [denyName, allowName] = [boundName(deny, principal), boundName(allow, principal)];
  return {
    audit: config(boundName(audit, principal), rules.audit, builder('LOG', AUDIT_PREFIX)),
    enforced: [
      denyingConfig(denyName, HttpRbacSchema, denying(rules.deny), allowName, {
        served: config(denyName, rules.deny, denying),
      }),
      config(allowName, rules.allow, builder('ALLOW', ENFORCED_PREFIX.allow)),
    ],
  };
}

const namedPorts = new WeakMap<WorkloadAuthorization, ReadonlySet<number>>();

/** The ports that any rule names: no other part of a mapping matters. */
function portsNamedIn(authorization: WorkloadAuthorization): ReadonlySet<number> {
  const known = namedPorts.get(authorization);
  if (known !== undefined) return known;
  const ports = new Set([authorization.http, authorization.tcp].flatMap(rulesOf).flatMap(portsOf));
  namedPorts.set(authorization, ports);
  return ports;
}

function rulesOf({ custom, deny, allow, audit }: TrafficRules): readonly CompiledRule[] {
  const sets = [
    ...custom.map(({ rules }) => ({ enforced: rules, dryRun: [] })),
    deny,
    allow,
    audit,
  ];
  return sets.flatMap(({ enforced, dryRun }) => [...(enforced ?? []), ...(dryRun ?? [])]);
}

function portsOf(rule: CompiledRule): readonly number[] {
  return rule.operations
    .flat()
    .flatMap((condition) =>
      condition.on === 'port' ? [...condition.values, ...condition.notValues] : [],
    );
}
