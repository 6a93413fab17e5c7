import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationRule,
  AuthorizationSource,
} from '#api/kinds/authorization-policy.ts';
import type { AccessRule } from '#api/kinds/service-role.ts';
import { propertiesOf, type RoleSubject } from '#api/kinds/service-role-binding.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import { isOfWorkload, type RulePorts } from '#policy/authz/roles/role-target.ts';

/** What a rule of a role is turned into rules of a policy with. */
export interface RoleRuleInput {
  readonly subjects: readonly RoleSubject[];
  readonly rule: AccessRule;
  /** On which ports of the workloads it counts. */
  readonly ports: RulePorts;
  /** On which not, where it counts on all. */
  readonly notPorts: readonly number[];
  /** `<trust domain>/ns/<namespace of the binding>/sa/`: a bare `user` is an account there. */
  readonly accounts: string;
  /** Whose identity principals are about. */
  readonly principals: PrincipalBinding;
}

/** One rule for each subject that can be anybody: conditions of `when` hold for a whole rule. */
export function policyRules(input: RoleRuleInput): readonly AuthorizationRule[] {
  const { operation, when } = operationOf(input);
  const rules = input.subjects.flatMap((subject): readonly AuthorizationRule[] => {
    const caller = callerOf(subject, input);
    if (caller === undefined) return [];
    const conditions = [...caller.when, ...when];
    return [
      {
        ...(Object.keys(caller.source).length > 0 && { from: [{ source: caller.source }] }),
        ...(Object.keys(operation).length > 0 && { to: [{ operation }] }),
        ...(conditions.length > 0 && { when: conditions }),
      },
    ];
  });
  // A binding counts as a whole: if one subject needs HTTP, none is let in without.
  return rules.some(needsHttp) ? rules.map(onlyHttp) : rules;
}

function needsHttp({ from = [], to = [], when = [] }: AuthorizationRule): boolean {
  const fields = [...from.map(({ source }) => source), ...to.map(({ operation }) => operation)];
  const isHttp = (name: string): boolean => /requestprincipals|hosts|methods|paths/i.test(name);
  return (
    fields.some((one) => Object.keys(one ?? {}).some(isHttp)) ||
    when.some(({ key }) => key.startsWith('request.'))
  );
}

function onlyHttp(rule: AuthorizationRule): AuthorizationRule {
  if (needsHttp(rule)) return rule;
  const { to = [{ operation: {} }] } = rule;
  return {
    ...rule,
    to: to.map(({ operation }) => ({ operation: { ...operation, methods: ['*'] } })),
  };
}

/** Fields that hold, and conditions on what has no field. */
interface Caller {
  readonly source: AuthorizationSource;
  readonly when: readonly AuthorizationCondition[];
}

const GROUPS = 'request.auth.claims[groups]';

/** Who a subject is; undefined for one that says nothing and so is nobody. */
function callerOf(
  subject: RoleSubject,
  { accounts, principals }: RoleRuleInput,
): Caller | undefined {
  const { user, names = [], notNames = [], group, groups = [], notGroups = [] } = subject;
  const { namespaces = [], notNamespaces = [], ips = [], notIps = [] } = subject;
  const properties = propertiesOf(subject);
  const isUser = user !== undefined && user !== '';
  const lists = [names, notNames, groups, notGroups, namespaces, notNamespaces, ips, notIps];
  if (!isUser && !group && properties.length === 0 && lists.flat().length === 0) return undefined;
  const whole = isUser && !/[/*]/.test(user) ? `${accounts}${user}` : user;
  const users = isUser && user !== '*' && whole !== undefined ? [whole] : [];
  // `*` is everybody, also who has no identity.
  const named = names.includes('*') ? [] : names;
  const isOrigin = principals === 'origin';
  const fields = isOrigin
    ? (['requestPrincipals', 'notRequestPrincipals', 'request.auth.principal'] as const)
    : (['principals', 'notPrincipals', 'source.principal'] as const);
  const [field, notField, key] = fields;
  // A source has one list of principals; a second one is a condition.
  const [first, second] = users.length > 0 ? [users, named] : [named, []];
  return {
    source: {
      ...listed(field, first),
      ...listed(notField, notNames),
      ...listed('namespaces', namespaces),
      ...listed('notNamespaces', notNamespaces),
      ...listed('ipBlocks', ips),
      ...listed('notIpBlocks', notIps),
    },
    when: [
      ...condition(key, second, []),
      ...condition(GROUPS, group ? [group] : [], []),
      ...condition(GROUPS, groups, notGroups),
      ...properties.flatMap(([name, value]) =>
        condition(isOrigin && name === 'source.principal' ? key : name, [value], []),
      ),
    ],
  };
}

function operationOf({ rule, ports, notPorts: without }: RoleRuleInput): {
  readonly operation: AuthorizationOperation;
  readonly when: readonly AuthorizationCondition[];
} {
  const { hosts, notHosts, methods, notMethods, paths, notPaths, notPorts } = rule;
  const served = ports === 'all' ? [] : ports.map(String);
  const own = (rule.ports ?? []).map(String);
  // Both have to hold: one is a condition.
  const [first, second] = own.length > 0 ? [own, served] : [served, []];
  const constraints = (rule.constraints ?? []).filter(({ key }) => !isOfWorkload(key));
  return {
    operation: {
      ...listed('hosts', hosts),
      ...listed('notHosts', notHosts),
      ...listed('methods', methods),
      ...listed('notMethods', notMethods),
      ...listed('paths', paths?.map(withSlash)),
      ...listed('notPaths', notPaths?.map(withSlash)),
      ...listed('ports', first),
      ...listed('notPorts', [...(notPorts ?? []), ...without].map(String)),
    },
    when: [
      ...condition('destination.port', second, []),
      ...constraints.flatMap(({ key, values = [] }) => condition(key, values, [])),
    ],
  };
}

/** gRPC methods may be written as `package.Service/Method`. */
function withSlash(path: string): string {
  return /^[/*]/.test(path) ? path : `/${path}`;
}

function listed<K extends string>(
  field: K,
  values: readonly string[] | undefined,
): Partial<Record<K, readonly string[]>> {
  if (values === undefined || values.length === 0) return {};
  return { [field]: values } as Record<K, readonly string[]>;
}

function condition(
  key: string,
  values: readonly string[],
  notValues: readonly string[],
): readonly AuthorizationCondition[] {
  if (values.length + notValues.length === 0) return [];
  return [{ key, ...listed('values', values), ...listed('notValues', notValues) }];
}
