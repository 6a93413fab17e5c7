import type { CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { type FailedTest, matchedConditions, type NearMiss } from '#policy/authz/evaluate.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { objectOfPolicy, objectOfRule } from '#policy/decide/authorization.ts';
import type { Caller } from '#policy/decide/call.ts';
import { conditionText } from '#policy/decide/condition-text.ts';
import type { ConnectionResult } from '#policy/decide/connection.ts';
import { type PolicyObject, shownObject } from '#policy/decide/layer.ts';

/** A field of a rule that kept a call out. */
export interface FailedField {
  readonly field: string;
  /** What the field asks for; of a `not…` field what it excludes and the call has. */
  readonly asked: readonly string[];
  /** What the call has; undefined = nothing. */
  readonly given: string | undefined;
  readonly isExcluded: boolean;
}

/** The ALLOW rule that comes nearest to letting a call in. */
export interface NearestRule {
  readonly object: PolicyObject;
  /** As access logs name it. */
  readonly rule: string;
  readonly failed: readonly FailedField[];
}

/** What a call is refused for, for the words about it. */
export interface Refused {
  readonly facts: AuthzFacts;
  readonly authorization: WorkloadAuthorization;
  /** Why a caller of the mesh comes without its identity. */
  readonly lostBy: PolicyObject | undefined;
  /** Whether the caller is outside of the mesh. */
  readonly isOutside: boolean;
}

/** The near misses of a denial, in words. */
export function nearestRules(
  misses: readonly NearMiss[],
  { facts, authorization }: Refused,
): readonly NearestRule[] {
  return misses.map(({ rule, failed }) => ({
    object: objectOfRule(rule, authorization),
    rule: rule.name,
    failed: failed.map(({ condition, isExcluded }): FailedField => {
      const { asked, excluded, given } = conditionText(condition, facts);
      return isExcluded
        ? { field: condition.notField, asked: excluded, given, isExcluded }
        : { field: condition.field, asked, given, isExcluded };
    }),
  }));
}

/** The smallest change that would let in what no ALLOW rule matches; one sentence. */
export function adviceOnAllow(
  misses: readonly NearMiss[],
  policies: readonly CompiledPolicy[],
  refused: Refused,
): string {
  const [nearest] = misses;
  if (nearest === undefined) return adviceWithoutRules(policies, refused);
  const changes = nearest.failed.map((test) => changeFor(test, refused));
  const object = shownObject(objectOfRule(nearest.rule, refused.authorization));
  return `${[...new Set(changes)].join('; and ')} (${object})`;
}

/** The smallest change that keeps a DENY rule from matching; one sentence. */
export function adviceOnDeny(rule: CompiledRule, refused: Refused): string {
  const { facts, authorization } = refused;
  const object = shownObject(objectOfRule(rule, authorization));
  const conditions = matchedConditions(rule, facts) ?? [];
  const [condition] = conditions;
  if (condition === undefined) return `give the rule a field that leaves the call out (${object})`;
  // An expression says in one place what is asked for and what is left out.
  if (condition.field === condition.notField)
    return `change ${condition.field} so that it leaves the call out (${object})`;
  const { asked, given } = conditionText(condition, facts);
  if (asked.length === 0)
    return given === undefined
      ? `${present(condition, refused)} (${object})`
      : `add "${given}" to ${condition.notField} (${object})`;
  if (given === undefined) return `take the rule away (${object})`;
  return `add "${given}" to ${condition.notField} (${object})`;
}

/** The smallest change that lets a connection be made; one sentence. */
export function adviceOnConnection({ identity }: Caller, { layer }: ConnectionResult): string {
  const { object } = layer;
  const said = object && shownObject(object);
  if (identity === undefined)
    return `call from a workload of the mesh, or let the server take plaintext (${said ?? 'PERMISSIVE'})`;
  if (object?.kind === 'DestinationRule')
    return `take ${layer.field} away, so that callers connect as the server takes it (${said})`;
  return said
    ? `let ${said} take what callers send`
    : 'put a proxy beside the server, or turn on mutual TLS for callers';
}

/** There are ALLOW policies, but no rule that could match such a call at all. */
function adviceWithoutRules(policies: readonly CompiledPolicy[], refused: Refused): string {
  const { facts } = refused;
  const [first] = policies;
  const object = first ? shownObject(objectOfPolicy(first)) : 'the policy';
  const needHttp = policies.filter(({ http, tcp }) => http.length > tcp.length).map(objectOfPolicy);
  const [http] = needHttp;
  if (facts.method === '' && http) {
    const field = 'ports instead of methods, paths, hosts or headers';
    return `the port is not HTTP, so rules about HTTP allow nothing: use ${field} (${shownObject(http)})`;
  }
  const who =
    facts.identity === '' ? 'the caller' : `"${facts.identity.slice('spiffe://'.length)}"`;
  return `add a rule that allows ${who}, for nothing is allowed so far (${object})`;
}

function changeFor({ condition, isExcluded }: FailedTest, refused: Refused): string {
  const { asked, excluded, given } = conditionText(condition, refused.facts);
  if (isExcluded) return `take ${quoted(excluded)} out of ${condition.notField}`;
  if (given === undefined) return present(condition, refused);
  // A caller is let in by what it is; what it says about itself it can change.
  return asked.length === 1 && asked[0] === '*'
    ? present(condition, refused)
    : `add "${given}" to ${condition.field}`;
}

/** What has to be there before a condition can match. */
function present(condition: Condition, { facts, lostBy, isOutside }: Refused): string {
  switch (condition.on) {
    case 'principal':
    case 'namespace':
    case 'serviceAccount':
    case 'trustDomain':
      if (facts.endUser !== undefined) return 'send a token of the end user';
      if (lostBy) return `let the caller use mutual TLS, which ${shownObject(lostBy)} turns off`;
      return isOutside
        ? 'call from a workload of the mesh: a caller without certificate has no identity'
        : 'let the caller use mutual TLS, so that it has an identity';
    case 'requestPrincipal':
    case 'claim':
      return facts.claims === undefined
        ? 'send a token that a RequestAuthentication takes'
        : `send a token with ${condition.on === 'claim' ? `the claim ${condition.path.join('.')}` : 'issuer and subject'}`;
    case 'header':
      return `send the header ${condition.name}`;
    case 'sourceIp':
    case 'remoteIp':
      return 'say from which address the call comes (--ip)';
    default:
      return `call with ${condition.field.split('.').at(-1) ?? condition.on}`;
  }
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `"${value}"`).join(', ');
}
