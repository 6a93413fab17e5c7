import { isIpBlock } from '#api/address.ts';
import { forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPolicy,
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
} from '#api/kinds/authorization-policy.ts';
import { valueTrap } from '#api/kinds/authorization-traps.ts';
import { conditionKeyProblem, conditionValueProblem } from '#api/kinds/condition-key.ts';
import { DRY_RUN } from '#api/kinds/istio-kind.ts';
import { pathTemplateProblem } from '#api/kinds/path-template.ts';
import { checkPolicyTarget } from '#api/kinds/workload-target.ts';

/** What is wrong with a value; undefined = nothing. */
type Problem = (value: string) => string | undefined;

const nothing: Problem = () => undefined;
const address: Problem = (value) =>
  isIpBlock(value) ? undefined : 'must be an IP address or a CIDR block';
const port: Problem = (value) =>
  /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535
    ? undefined
    : 'must be a port number between 1 and 65535';

/** `name` (in the namespace of the policy) or `namespace/name`. */
const serviceAccount: Problem = (value) =>
  /^[^/*]+(\/[^/*]+)?$/.test(value)
    ? undefined
    : 'must be `<namespace>/<name>` or `<name>`, without wildcards';

/**
 * Every field of a source: how a value is checked, and whether it can be judged on a TCP
 * connection.
 */
const SOURCE: Readonly<
  Record<keyof AuthorizationSource, { readonly problem: Problem; readonly tcp: boolean }>
> = {
  principals: { problem: nothing, tcp: true },
  notPrincipals: { problem: nothing, tcp: true },
  requestPrincipals: { problem: nothing, tcp: false },
  notRequestPrincipals: { problem: nothing, tcp: false },
  namespaces: { problem: nothing, tcp: true },
  notNamespaces: { problem: nothing, tcp: true },
  serviceAccounts: { problem: serviceAccount, tcp: true },
  notServiceAccounts: { problem: serviceAccount, tcp: true },
  trustDomains: { problem: nothing, tcp: true },
  notTrustDomains: { problem: nothing, tcp: true },
  ipBlocks: { problem: address, tcp: true },
  notIpBlocks: { problem: address, tcp: true },
  remoteIpBlocks: { problem: address, tcp: true },
  notRemoteIpBlocks: { problem: address, tcp: true },
};

/** As SOURCE, for an operation. */
const OPERATION: Readonly<
  Record<keyof AuthorizationOperation, { readonly problem: Problem; readonly tcp: boolean }>
> = {
  hosts: { problem: nothing, tcp: false },
  notHosts: { problem: nothing, tcp: false },
  ports: { problem: port, tcp: true },
  notPorts: { problem: port, tcp: true },
  methods: { problem: nothing, tcp: false },
  notMethods: { problem: nothing, tcp: false },
  paths: { problem: pathTemplateProblem, tcp: false },
  notPaths: { problem: pathTemplateProblem, tcp: false },
};

/** Fields of a source that an external authorizer's rules cannot use. */
const NOT_WITH_CUSTOM: ReadonlySet<string> = new Set<keyof AuthorizationSource>([
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'notRequestPrincipals',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
]);

const CUSTOM_WITHOUT = 'is not supported with the action CUSTOM';
const NEVER_MATCHES = 'add the empty rule `{}` to match every request';

/** A source or operation, as lists of values by field. */
type Matcher = Readonly<Partial<Record<string, readonly string[]>>>;

function isEmpty(values: readonly string[] | undefined): boolean {
  return values === undefined || values.length === 0;
}

/** Reports what was found of a value: that it is wrong, or else that nothing can match it. */
function checkValue(
  {
    about,
    value,
    field,
    found,
  }: {
    readonly about: string;
    readonly value: string;
    readonly field: string;
    readonly found: string | undefined;
  },
  report: Report,
): void {
  if (found !== undefined) {
    report(invalid(field, value, found));
    return;
  }
  const trap = valueTrap(about, value);
  if (trap) report(warning(field, `${JSON.stringify(value)}: ${trap.message}`, trap.remedy));
}

/** Checks the values of a source or operation, of which at least one list must have some. */
function checkMatcher(
  matcher: Matcher,
  table: Readonly<Record<string, { readonly problem: Problem }>>,
  field: string,
  report: Report,
): void {
  if (Object.keys(table).every((name) => isEmpty(matcher[name]))) {
    report(required(field, 'must have at least one field with a value'));
  }
  for (const [name, { problem }] of Object.entries(table)) {
    for (const [index, value] of (matcher[name] ?? []).entries()) {
      const found = value === '' ? 'must not be empty' : problem(value);
      checkValue({ about: name, value, field: `${field}.${name}[${index}]`, found }, report);
    }
  }
}

function checkSource(source: AuthorizationSource, field: string, report: Report): void {
  checkMatcher(source, SOURCE, field, report);
  const { serviceAccounts, notServiceAccounts } = source;
  const others = [source.principals, source.notPrincipals, source.namespaces, source.notNamespaces];
  const accounts = serviceAccounts !== undefined || notServiceAccounts !== undefined;
  if (accounts && others.some((values) => values !== undefined)) {
    report(violates(field, 'Cannot set serviceAccounts with namespaces or principals'));
  }
}

function checkCondition(condition: AuthorizationCondition, field: string, report: Report): void {
  const { key, values, notValues } = condition;
  if (key === '') {
    report(required(`${field}.key`, 'must not be empty'));
    return;
  }
  const problem = conditionKeyProblem(key);
  if (problem !== undefined) report(invalid(`${field}.key`, key, problem));
  if (isEmpty(values) && isEmpty(notValues)) {
    report(required(`${field}.values`, 'one of values or notValues must have a value'));
  }
  for (const [name, list] of Object.entries({ values, notValues })) {
    for (const [index, value] of (list ?? []).entries()) {
      const found = value === '' ? 'must not be empty' : conditionValueProblem(key, value);
      checkValue({ about: key, value, field: `${field}.${name}[${index}]`, found }, report);
    }
  }
}

/**
 * What an external authorizer's rules may not use: the filter that asks it runs before these are
 * known.
 */
function checkCustomRule(rule: AuthorizationRule, field: string, report: Report): void {
  for (const [index, { source }] of (rule.from ?? []).entries()) {
    for (const [name, values] of Object.entries(source ?? {})) {
      if (NOT_WITH_CUSTOM.has(name) && !isEmpty(values)) {
        report(forbidden(`${field}.from[${index}].source.${name}`, CUSTOM_WITHOUT));
      }
    }
  }
  for (const [index, { key }] of (rule.when ?? []).entries()) {
    const identity = ['source.namespace', 'source.principal', 'source.serviceAccount'];
    if (identity.includes(key) || key.startsWith('request.auth.')) {
      report(forbidden(`${field}.when[${index}].key`, `${key} ${CUSTOM_WITHOUT}`));
    }
  }
}

function usesTcpField(
  matchers: readonly (Matcher | undefined)[],
  table: Readonly<Record<string, { readonly tcp: boolean }>>,
): boolean {
  return matchers.some((matcher) =>
    Object.keys(matcher ?? {}).some((name) => table[name]?.tcp === true),
  );
}

/**
 * A DENY rule of HTTP fields alone cannot be judged on TCP, so it denies all of it (fail closed, as
 * Istio).
 */
function deniesAllTcp(rule: AuthorizationRule): boolean {
  const sources = rule.from?.map((from) => from.source);
  const operations = rule.to?.map((to) => to.operation);
  if (operations !== undefined) return !usesTcpField(operations, OPERATION);
  return sources !== undefined && !usesTcpField(sources, SOURCE);
}

function checkRule(
  rule: AuthorizationRule,
  field: string,
  action: AuthorizationPolicySpec['action'],
  report: Report,
): void {
  for (const name of ['from', 'to'] as const) {
    if (rule[name]?.length !== 0) continue;
    report(required(`${field}.${name}`, `leave ${name} out to match anything`));
  }
  for (const [index, { source }] of (rule.from ?? []).entries()) {
    const at = `${field}.from[${index}].source`;
    if (source === undefined) report(required(at));
    else checkSource(source, at, report);
  }
  for (const [index, { operation }] of (rule.to ?? []).entries()) {
    const at = `${field}.to[${index}].operation`;
    if (operation === undefined) report(required(at));
    else checkMatcher(operation, OPERATION, at, report);
  }
  for (const [index, condition] of (rule.when ?? []).entries()) {
    checkCondition(condition, `${field}.when[${index}]`, report);
  }
  if (action === 'CUSTOM') checkCustomRule(rule, field, report);
  if (action === 'DENY' && deniesAllTcp(rule)) {
    const message = 'a DENY rule with HTTP fields only denies all traffic to TCP ports';
    report(warning(field, message, 'name the HTTP ports in `to.operation.ports`'));
  }
}

function checkAction(spec: AuthorizationPolicySpec, report: Report): void {
  const { action = 'ALLOW', provider, rules = [] } = spec;
  if (action !== 'CUSTOM' && provider !== undefined) {
    report(forbidden('spec.provider', `only the action CUSTOM has a provider, not ${action}`));
  }
  if (action === 'CUSTOM' && !provider?.name) {
    report(required('spec.provider.name', 'the action CUSTOM needs a provider'));
  }
  if (rules.length > 0 || action === 'ALLOW') return;
  const problem = `${action} without rules never matches; ${NEVER_MATCHES}`;
  if (action === 'AUDIT') report(warning('spec.rules', problem));
  else report(required('spec.rules', problem));
}

function checkDryRun(policy: AuthorizationPolicy, report: Report): void {
  const annotation = policy.metadata.annotations?.[DRY_RUN];
  if (annotation === undefined) return;
  const field = `metadata.annotations[${DRY_RUN}]`;
  const action = policy.spec?.action ?? 'ALLOW';
  if (action !== 'ALLOW' && action !== 'DENY') {
    report(forbidden(field, `only ALLOW and DENY can be dry-run, not ${action}`));
  } else if (!/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(annotation)) {
    report(invalid(field, annotation, 'must be "true" or "false"'));
  }
}

/**
 * Rules of an AuthorizationPolicy beyond its schema. Without a spec it is an ALLOW without rules.
 */
export function checkAuthorizationPolicy(policy: AuthorizationPolicy, report: Report): void {
  const spec = policy.spec ?? {};
  checkDryRun(policy, report);
  checkPolicyTarget(spec, report);
  checkAction(spec, report);
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    checkRule(rule, `spec.rules[${index}]`, spec.action, report);
  }
}
