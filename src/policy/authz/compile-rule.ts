import type { AuthorizationCondition, AuthorizationRule } from '#api/kinds/authorization-policy.ts';
import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import {
  type Condition,
  isOperationCondition,
  isSourceCondition,
  type SourceCondition,
} from '#policy/authz/condition.ts';
import { parseConditionKey } from '#policy/authz/condition-key.ts';
import { type ReadCondition, type Reading, readCondition } from '#policy/authz/read-condition.ts';
import { HARDENING } from '#policy/hardening.ts';

/** Fields of a source with the attribute they test. The order is that of Istio's output. */
const SOURCE_FIELDS = [
  ['principals', 'notPrincipals', 'principal'],
  ['requestPrincipals', 'notRequestPrincipals', 'requestPrincipal'],
  ['serviceAccounts', 'notServiceAccounts', 'serviceAccount'],
  ['namespaces', 'notNamespaces', 'namespace'],
  ['trustDomains', 'notTrustDomains', 'trustDomain'],
  ['remoteIpBlocks', 'notRemoteIpBlocks', 'remoteIp'],
  ['ipBlocks', 'notIpBlocks', 'sourceIp'],
] as const;

/** The same for an operation. */
const OPERATION_FIELDS = [
  ['hosts', 'notHosts', 'host'],
  ['methods', 'notMethods', 'method'],
  ['paths', 'notPaths', 'path'],
  ['ports', 'notPorts', 'port'],
] as const;

/** Attributes that tell who the peer is. */
const PEER_SUBJECTS: ReadonlySet<Condition['on']> = new Set<Condition['on']>([
  'principal',
  'namespace',
  'serviceAccount',
  'trustDomain',
]);

/** The rule that a compiled rule comes from. */
export type RuleOrigin = Pick<CompiledRule, 'namespace' | 'policy' | 'index' | 'action'>;

/** A clause, or `never` when it cannot hold. */
type ReadClause = Clause<Condition> | 'never';

/** A rule with its name. */
export function compiledRule(
  origin: RuleOrigin,
  clauses: Pick<CompiledRule, 'sources' | 'operations'>,
): CompiledRule {
  const { namespace, policy, index } = origin;
  return { name: `ns[${namespace}]-policy[${policy}]-rule[${index}]`, ...origin, ...clauses };
}

/** Compiles one rule; undefined when it can never match. */
export function compileRule(
  rule: AuthorizationRule,
  origin: RuleOrigin,
  reading: Reading,
): CompiledRule | undefined {
  const path = `spec.rules[${origin.index}]`;
  const when = (rule.when ?? []).map((condition, at) =>
    readWhen(condition, `${path}.when[${at}]`, reading),
  );
  const sources = alternatives(rule.from, isSourceCondition, when, (from, at) =>
    readFields(SOURCE_FIELDS, from.source, `${path}.from[${at}].source`, reading),
  );
  const operations = alternatives(rule.to, isOperationCondition, when, (to, at) =>
    readFields(OPERATION_FIELDS, to.operation, `${path}.to[${at}].operation`, reading),
  );
  if (when.includes('never') || sources.length === 0 || operations.length === 0) return undefined;
  const asksForPeer =
    origin.action === 'ALLOW' && HARDENING[reading.context.hardening].allowByExclusionNeedsPeer;
  return compiledRule(origin, {
    sources: asksForPeer ? sources.map(withPeer) : sources,
    operations,
  });
}

/**
 * One clause for each entry of `from` or `to`, with the conditions of `when` that belong to that
 * half.
 */
function alternatives<T, C extends Condition>(
  entries: readonly T[] | undefined,
  isOfHalf: (condition: Condition) => condition is C,
  when: readonly ReadCondition[],
  read: (entry: T, at: number) => ReadClause,
): Clause<C>[] {
  const common = when.filter(isCondition).filter(isOfHalf);
  if (entries === undefined || entries.length === 0) return [common];
  return entries
    .map(read)
    .filter((clause) => clause !== 'never')
    .map((clause) => [...clause.filter(isOfHalf), ...common]);
}

function readWhen(
  condition: AuthorizationCondition,
  path: string,
  reading: Reading,
): ReadCondition {
  const subject = parseConditionKey(condition.key);
  if (subject === undefined) {
    const message = `${JSON.stringify(condition.key)} is no attribute that a policy can test`;
    reading.diagnostics.push({ severity: 'error', field: `${path}.key`, message });
    return reading.doubt === 'narrow' ? 'never' : undefined;
  }
  const { values = [], notValues = [] } = condition;
  if (values.length === 0 && notValues.length === 0)
    return empty(path, 'a condition has `values` or `notValues`', reading, undefined);
  const fields = { field: `${path}.values`, notField: `${path}.notValues` };
  return readCondition(subject, { values, notValues, ...fields }, reading);
}

/** All fields of one source or operation: they must all hold. */
function readFields<K extends string>(
  fields: readonly (readonly [K, K, (typeof SOURCE_FIELDS | typeof OPERATION_FIELDS)[number][2]])[],
  object: Readonly<Partial<Record<K, readonly string[]>>> | undefined,
  path: string,
  reading: Reading,
): ReadClause {
  const conditions = fields.flatMap(([field, notField, on]) => {
    const values = object?.[field] ?? [];
    const notValues = object?.[notField] ?? [];
    if (values.length === 0 && notValues.length === 0) return [];
    const names = { field: `${path}.${field}`, notField: `${path}.${notField}` };
    return [readCondition({ on }, { values, notValues, ...names }, reading)];
  });
  if (conditions.length === 0) return empty(path, 'at least one field must be set', reading, []);
  return conditions.includes('never') ? 'never' : conditions.filter(isCondition);
}

/** Something that says nothing: where doubt narrows it matches nothing, elsewhere everything. */
function empty<T>(path: string, message: string, reading: Reading, anything: T): T | 'never' {
  reading.diagnostics.push({ severity: 'error', field: path, message });
  return reading.doubt === 'narrow' ? 'never' : anything;
}

/** A clause that says only who the peer is not must not let in a caller without any identity. */
function withPeer(clause: Clause<SourceCondition>): Clause<SourceCondition> {
  const peers = clause.filter(({ on }) => PEER_SUBJECTS.has(on));
  const [first] = peers;
  if (first === undefined || peers.some(({ values }) => values.length > 0)) return clause;
  const { field, notField } = first;
  const values = [{ match: 'present' }] as const;
  return [...clause, { on: 'principal', values, notValues: [], field: notField, notField: field }];
}

function isCondition(read: ReadCondition): read is Condition {
  return typeof read === 'object';
}
