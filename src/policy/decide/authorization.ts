import type { MeshSettings } from '#model/mesh-settings.ts';
import type { CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { type AuthzDecision, evaluate, matchedConditions } from '#policy/authz/evaluate.ts';
import { type AuthzFacts, type AuthzRequest, factsOf } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { conditionText } from '#policy/decide/condition-text.ts';
import { type Layer, type PolicyObject, shownObject } from '#policy/decide/layer.ts';

/** What authorization says of a request. */
export interface AuthorizationResult {
  readonly decision: AuthzDecision;
  /** CUSTOM, DENY and ALLOW, in this order. */
  readonly layers: readonly Layer[];
  /** Undefined for a request that is refused before policy is asked. */
  readonly facts: AuthzFacts | undefined;
  /** Every enforced rule that the request meets, also those that did not decide. */
  readonly matched: readonly CompiledRule[];
  /** Names of the extension providers that are asked, and may deny what is allowed here. */
  readonly asks: readonly string[];
}

/** Asks the policies of a workload about a request, layer by layer. */
export function authorize(
  authorization: WorkloadAuthorization,
  request: AuthzRequest,
  { hardening, pathNormalization }: Pick<MeshSettings, 'hardening' | 'pathNormalization'>,
): AuthorizationResult {
  const decision = evaluate(authorization, request, hardening, pathNormalization);
  const facts = factsOf(request, pathNormalization, hardening);
  const { custom, deny, allow, audit } = request.http ? authorization.http : authorization.tcp;
  const meets = (rule: CompiledRule): boolean =>
    facts !== undefined && matchedConditions(rule, facts) !== undefined;
  const decided = [deny, allow, audit].flatMap(({ enforced }) => enforced ?? []);
  const asked = custom.filter(({ rules }) => rules.some(meets));
  const [first] = asked.flatMap(({ rules }) => rules.filter(meets));
  const layers = layersOf(decision, authorization, facts);
  const asks = asked.map(({ provider }) => provider.name);
  return {
    decision,
    facts,
    matched: [...custom.flatMap(({ rules }) => rules), ...decided].filter(meets),
    layers: first ? layers.map((one) => askingLayer(one, asks, first, authorization)) : layers,
    asks,
  };
}

/** In place of a CUSTOM layer that passes: a provider is asked. */
function askingLayer(
  layer: Layer,
  asks: readonly string[],
  rule: CompiledRule,
  authorization: WorkloadAuthorization,
): Layer {
  if (layer.layer !== 'custom' || layer.outcome !== 'pass') return layer;
  const object = objectOfRule(rule, authorization);
  const names = asks.join(' and ');
  return {
    layer: 'custom',
    outcome: 'asks',
    reason: `${shownObject(object)} asks the provider ${names}, which may deny it`,
    object,
    field: `spec.rules[${rule.index}]`,
    rule: rule.name,
  };
}

function layersOf(
  decision: AuthzDecision,
  authorization: WorkloadAuthorization,
  facts: AuthzFacts | undefined,
): readonly Layer[] {
  const skipped = (layer: Layer['layer']): Layer => {
    return { layer, outcome: 'skipped', reason: 'not asked' };
  };
  const passed = (layer: 'custom' | 'deny'): Layer => {
    const action = layer === 'custom' ? 'CUSTOM' : 'DENY';
    const asked = authorization.policies.some((one) => one.action === action && !one.dryRun);
    const reason = asked ? `no ${action} rule matches` : `no ${action} policy selects the workload`;
    return { layer, outcome: 'pass', reason };
  };
  switch (decision.because) {
    case 'the request is malformed': {
      const reason = 'the server refuses such a path (400), whatever the policy';
      return [skipped('custom'), { layer: 'deny', outcome: 'deny', reason }, skipped('allow')];
    }
    case 'a rule denies': {
      const isCustom = decision.rule.action === 'CUSTOM';
      const layer = isCustom ? 'custom' : 'deny';
      const said = ruleLayer(layer, 'deny', decision.rule, authorization, facts);
      return isCustom
        ? [said, skipped('deny'), skipped('allow')]
        : [passed('custom'), said, skipped('allow')];
    }
    case 'an ALLOW rule matches': {
      const said = ruleLayer('allow', 'pass', decision.rule, authorization, facts);
      return [passed('custom'), passed('deny'), said];
    }
    case 'no ALLOW policy selects the workload': {
      const { because: reason } = decision;
      return [passed('custom'), passed('deny'), { layer: 'allow', outcome: 'pass', reason }];
    }
    case 'no ALLOW rule matches':
      return [passed('custom'), passed('deny'), notAllowed(decision, facts)];
  }
}

type NotAllowed = Extract<AuthzDecision, { because: 'no ALLOW rule matches' }>;

function notAllowed({ policies, nearest }: NotAllowed, facts: AuthzFacts | undefined): Layer {
  const names = policies.map(objectOfPolicy).map(shownObject).join(', ');
  const [only] = policies;
  const needHttp =
    facts?.method === '' && policies.some(({ http, tcp }) => http.length > tcp.length);
  const reason =
    nearest.length > 0
      ? `no rule of ${names} matches`
      : needHttp
        ? `the rules of ${names} need HTTP, and the port is not HTTP`
        : `${names} has no rule that could match: it allows nothing`;
  const object = only && policies.length === 1 ? objectOfPolicy(only) : undefined;
  return { layer: 'allow', outcome: 'deny', reason, object, field: object && 'spec' };
}

function ruleLayer(
  layer: Layer['layer'],
  outcome: 'pass' | 'deny',
  rule: CompiledRule,
  authorization: WorkloadAuthorization,
  facts: AuthzFacts | undefined,
): Layer {
  const conditions = facts ? (matchedConditions(rule, facts) ?? []) : [];
  const because = facts ? conditions.map((one) => matchText(one, facts)).join(' and ') : '';
  const object = objectOfRule(rule, authorization);
  const verb = outcome === 'pass' ? 'allows' : 'denies';
  return {
    layer,
    outcome,
    reason: `${shownObject(object)} ${verb} ${because === '' ? 'every request' : `it: ${because}`}`,
    object,
    field: conditions.map(fieldOf)[0] ?? `spec.rules[${rule.index}]`,
    rule: rule.name,
  };
}

/** `methods has "GET"`, as a rule that matches has it. */
function matchText(condition: Condition, facts: AuthzFacts): string {
  const { asked, given } = conditionText(condition, facts);
  const field = fieldOf(condition);
  const value = given === undefined ? 'nothing' : `"${given}"`;
  return asked.length > 0 ? `${field} matches ${value}` : `${field} does not have ${value}`;
}

function fieldOf({ values, field, notField }: Condition): string {
  return values.length > 0 ? field : notField;
}

/** The policy that a rule comes from. */
function policyOfRule(
  rule: CompiledRule,
  { policies }: WorkloadAuthorization,
): CompiledPolicy | undefined {
  const { namespace, policy, action } = rule;
  return (
    policies.find(({ http, tcp }) => http.includes(rule) || tcp.includes(rule)) ??
    policies.find(
      (one) => one.namespace === namespace && one.name === policy && one.action === action,
    )
  );
}

/** The object that a rule comes from. */
export function objectOfRule(
  rule: CompiledRule,
  authorization: WorkloadAuthorization,
): PolicyObject {
  const { kind = 'AuthorizationPolicy' } = policyOfRule(rule, authorization) ?? {};
  return { kind, namespace: rule.namespace, name: rule.policy };
}

/** What the caller of a request is told that a rule denies. */
export function answerOfRule(rule: CompiledRule, authorization: WorkloadAuthorization): string {
  const denial = policyOfRule(rule, authorization)?.denial;
  return denial === undefined ? FORBIDDEN : `${denial.status} ${denial.body}`;
}

/** What the caller of a request is told that policies deny. */
export const FORBIDDEN = '403 RBAC: access denied';

/** The object of a compiled policy. */
export function objectOfPolicy({ kind, namespace, name }: CompiledPolicy): PolicyObject {
  return { kind, namespace, name };
}
