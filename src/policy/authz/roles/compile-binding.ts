import type { Diagnostic } from '#api/diagnostic.ts';
import type { AccessRule } from '#api/kinds/service-role.ts';
import {
  propertiesOf,
  type RoleSubject,
  type ServiceRoleBinding,
} from '#api/kinds/service-role-binding.ts';
import type {
  AuthzContext,
  Clause,
  CompiledPolicy,
  CompiledRule,
} from '#policy/authz/compiled-policy.ts';
import {
  type Condition,
  isOperationCondition,
  isSourceCondition,
} from '#policy/authz/condition.ts';
import { parseConditionKey } from '#policy/authz/condition-key.ts';
import { forPlainConnections } from '#policy/authz/plain-connection.ts';
import {
  type ConditionInput,
  type ReadCondition,
  type Reading,
  readCondition,
  type Subject,
} from '#policy/authz/read-condition.ts';
import { isOfWorkload, type RulePorts } from '#policy/authz/roles/role-target.ts';

/** A rule of a role that speaks of the workload. */
export interface GrantedRule {
  readonly rule: AccessRule;
  /** Its place in the role. */
  readonly index: number;
  readonly ports: RulePorts;
  /** Where it is written: `ServiceRole viewer: spec.rules[0]`. */
  readonly field: string;
}

/** What a binding grants. */
export interface Grant {
  readonly binding: ServiceRoleBinding;
  readonly rules: readonly GrantedRule[];
  /** It records what it would let in, and lets nobody in. */
  readonly isPermissive: boolean;
  /** What is known to be wrong with it already. */
  readonly diagnostics: readonly Diagnostic[];
}

/** A clause, or `never` when it cannot hold. */
type ReadClause = Clause<Condition> | 'never';

/**
 * What a binding grants, in the form of an ALLOW policy: a rule for each rule of its role, with a
 * clause for each subject.
 */
export function compileBinding(
  { binding, rules, isPermissive, diagnostics: known }: Grant,
  context: AuthzContext,
): CompiledPolicy {
  const { name: policy, namespace = '' } = binding.metadata;
  const diagnostics: Diagnostic[] = [...known];
  const reading: Reading = { context, namespace, doubt: 'narrow', diagnostics };
  const subjects = (binding.spec?.subjects ?? [])
    .map((subject, at) => readSubject(subject, `spec.subjects[${at}]`, reading))
    .filter((clause) => clause !== 'never')
    .map((clause) => clause.filter(isSourceCondition));
  const http = rules.flatMap((granted): CompiledRule[] => {
    const { index } = granted;
    const clause = readRule(granted, reading);
    if (clause === 'never' || subjects.length === 0) return [];
    const ofCaller = clause.filter(isSourceCondition);
    const name = `ns[${namespace}]-binding[${policy}]-rule[${index}]`;
    const sources = subjects.map((subject) => [...subject, ...ofCaller]);
    const operations = [clause.filter(isOperationCondition)];
    return [{ name, namespace, policy, index, action: 'ALLOW', sources, operations }];
  });
  const plain = forPlainConnections(http);
  return {
    kind: 'ServiceRoleBinding',
    provider: undefined,
    namespace,
    name: policy,
    action: 'ALLOW',
    dryRun: isPermissive,
    target: { kind: 'labels', labels: {} },
    http,
    tcp: plain.rules,
    diagnostics,
    tcpDiagnostics: plain.diagnostics,
  };
}

/** Conditions that must all hold, as they are read; `never` when one cannot. */
function all(conditions: readonly ReadCondition[]): ReadClause {
  if (conditions.includes('never')) return 'never';
  return conditions.filter((condition) => typeof condition === 'object');
}

function readSubject(subject: RoleSubject, field: string, reading: Reading): ReadClause {
  const { names = [], notNames = [], group, groups = [], notGroups = [] } = subject;
  const { namespaces = [], notNamespaces = [], ips = [], notIps = [] } = subject;
  const groupPath = { on: 'claim', path: ['groups'] } as const;
  const tests: readonly [Subject, string, readonly string[], string, readonly string[]][] = [
    [{ on: 'principal' }, 'user', users(subject.user, `${field}.user`, reading), '', []],
    [{ on: 'principal' }, 'names', everybodyIsNone(names), 'notNames', notNames],
    [groupPath, 'group', group ? [group] : [], '', []],
    [groupPath, 'groups', groups, 'notGroups', notGroups],
    [{ on: 'namespace' }, 'namespaces', namespaces, 'notNamespaces', notNamespaces],
    [{ on: 'sourceIp' }, 'ips', ips, 'notIps', notIps],
  ];
  const conditions = tests
    .filter(([, , values, , notValues]) => values.length + notValues.length > 0)
    .map(([about, name, values, notName, notValues]) => {
      const fields = { field: `${field}.${name}`, notField: `${field}.${notName}` };
      return readCondition(about, { values, notValues, ...fields }, reading);
    });
  const properties = propertiesOf(subject).map(([key, value]) =>
    readKey(key, [value], `${field}.properties[${key}]`, reading),
  );
  const given = [...conditions, ...properties];
  const saysNothing = given.length === 0 && subject.user !== '*' && !names.includes('*');
  return saysNothing ? 'never' : all(given);
}

/** `*` is everybody, also who has no identity: nothing is asked. */
function everybodyIsNone(names: readonly string[]): readonly string[] {
  return names.includes('*') ? [] : names;
}

/**
 * The principals that `user` stands for. A bare name is the service account of that name in the
 * namespace of the binding, as the documents write it.
 */
function users(user: string | undefined, field: string, reading: Reading): readonly string[] {
  if (!user) return [];
  if (/[/*]/.test(user)) return everybodyIsNone([user]);
  const { trustDomain } = reading.context;
  const principal = `${trustDomain}/ns/${reading.namespace}/sa/${user}`;
  reading.diagnostics.push({
    severity: 'warning',
    field,
    message: `a bare name is taken for the service account ${principal}`,
    remedy: `write user: "${principal}"`,
  });
  return [user, principal];
}

function readKey(
  key: string,
  values: readonly string[],
  field: string,
  reading: Reading,
): ReadCondition {
  const subject = parseConditionKey(key);
  if (subject !== undefined)
    return readCondition(subject, { values, notValues: [], field, notField: field }, reading);
  const message = `"${key}" is no attribute that can be tested: nobody gets the role by this`;
  reading.diagnostics.push({ severity: 'error', field, message });
  return 'never';
}

function readRule({ rule, ports, field }: GrantedRule, reading: Reading): ReadClause {
  const { hosts, notHosts, methods, notMethods, paths, notPaths } = rule;
  const read = (about: Subject, input: ConditionInput): readonly ReadCondition[] =>
    input.values.length + input.notValues.length === 0
      ? []
      : [readCondition(about, input, reading)];
  const input = (
    name: string,
    values: readonly string[] = [],
    notValues: readonly string[] = [],
  ): ConditionInput => ({
    values,
    notValues,
    field: `${field}.${name}`,
    notField: `${field}.not${name[0]?.toUpperCase()}${name.slice(1)}`,
  });
  const constraints = (rule.constraints ?? [])
    .map((constraint, at) => [constraint, `${field}.constraints[${at}]`] as const)
    .filter(([{ key }]) => !isOfWorkload(key))
    .map(([{ key, values = [] }, at]) => readKey(key, values, `${at}.values`, reading));
  const restricted = ports === 'all' ? [] : ports.map(String);
  return all([
    ...read({ on: 'host' }, input('hosts', hosts, notHosts)),
    ...read({ on: 'method' }, input('methods', methods, notMethods)),
    ...read({ on: 'path' }, input('paths', withSlash(paths), withSlash(notPaths))),
    ...read({ on: 'port' }, input('ports', texts(rule.ports), texts(rule.notPorts))),
    ...read({ on: 'port' }, input('services', restricted)),
    ...constraints,
  ]);
}

function texts(numbers: readonly number[] | undefined): readonly string[] {
  return (numbers ?? []).map(String);
}

/** gRPC methods may be written as `package.Service/Method`, as the documents do. */
function withSlash(paths: readonly string[] | undefined): readonly string[] {
  return (paths ?? []).flatMap((path) => (/^[/*]/.test(path) ? [path] : [path, `/${path}`]));
}
