import { isIpBlock } from '#api/address.ts';
import { ageColumn } from '#api/columns.ts';
import { forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { valueTrap } from '#api/kinds/authorization-traps.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { constraintKeyProblem } from '#api/kinds/role-key.ts';
import type { ApiObject } from '#api/object.ts';
import { integer, list, object, text, type ValueOf } from '#api/schema.ts';

const words = (description: string) => list(description, text('A value.'));
const ports = (description: string) => list(description, integer('A port.'));

const constraint = object(
  'A further condition on an attribute; one of the values must match.',
  {
    key: text('The attribute: `request.headers[version]`, `destination.labels[version]` …'),
    values: words('Values of which one must match.'),
  },
  { required: ['key'] },
);

/** `rules[]` of a ServiceRole, and `actions[]` of a ServiceRoleBinding. */
export const accessRule = object(
  'What may be done: every field that is set must hold, and of a list one value is enough.',
  {
    services: words('Services of the own namespace, by short or full name; `*` is all of them.'),
    hosts: words('Host header.'),
    notHosts: words('Hosts that do not match.'),
    methods: words('HTTP methods; for gRPC always POST.'),
    notMethods: words('HTTP methods that do not match.'),
    paths: words('Paths; for gRPC `package.Service/Method`.'),
    notPaths: words('Paths that do not match.'),
    ports: ports('Ports of the workload.'),
    notPorts: ports('Ports of the workload that do not match.'),
    constraints: list('Further conditions; all must hold.', constraint),
  },
);

const spec = object('What a role lets its subjects do.', {
  rules: list('Rules of which one must match.', accessRule),
});

/** One rule of a role. */
export interface AccessRule extends ValueOf<typeof accessRule> {}

/** ServiceRole of rbac.istio.io/v1alpha1. */
export interface ServiceRole extends ApiObject {
  readonly spec?: ValueOf<typeof spec>;
  readonly status?: IstioStatus;
}

const PAIRS = [
  ['hosts', 'notHosts'],
  ['methods', 'notMethods'],
  ['paths', 'notPaths'],
  ['ports', 'notPorts'],
] as const;
const PORT_MAX = 65_535;

/** Reports what is wrong with one rule. */
export function checkAccessRule(rule: AccessRule, field: string, report: Report): void {
  if ((rule.services ?? []).length === 0) {
    report(required(`${field}.services`, 'write `services: ["*"]` for all of the namespace'));
  }
  for (const [name, notName] of PAIRS) {
    if ((rule[name] ?? []).length > 0 && (rule[notName] ?? []).length > 0)
      report(violates(field, `${name} and ${notName} do not go together`));
  }
  for (const name of ['services', 'hosts', 'notHosts', 'methods', 'notMethods', 'paths'] as const)
    checkTexts(rule[name], name, field, report);
  checkTexts(rule.notPaths, 'notPaths', field, report);
  for (const name of ['ports', 'notPorts'] as const) {
    for (const [index, port] of (rule[name] ?? []).entries()) {
      if (port >= 0 && port <= PORT_MAX) continue;
      report(invalid(`${field}.${name}[${index}]`, port, `must be between 0 and ${PORT_MAX}`));
    }
  }
  for (const [index, one] of (rule.constraints ?? []).entries()) {
    checkConstraint(one, rule, `${field}.constraints[${index}]`, report);
  }
  warnOfGrpc(rule, field, report);
}

function checkTexts(
  texts: readonly string[] | undefined,
  name: keyof AccessRule,
  field: string,
  report: Report,
): void {
  for (const [index, value] of (texts ?? []).entries()) {
    const at = `${field}.${name}[${index}]`;
    // Methods of gRPC stand among paths, without a slash before them.
    const mayBeGrpc = name.toLowerCase().endsWith('paths') && value.includes('.');
    const trap = mayBeGrpc ? undefined : valueTrap(name, value);
    if (value === '') report(invalid(at, value, 'must not be empty'));
    else if (trap) report(warning(at, `${JSON.stringify(value)}: ${trap.message}`, trap.remedy));
  }
}

function checkConstraint(
  { key, values = [] }: ValueOf<typeof constraint>,
  rule: AccessRule,
  field: string,
  report: Report,
): void {
  if (key === '') report(required(`${field}.key`, 'must not be empty'));
  else {
    const problem = constraintKeyProblem(key);
    // Istio takes any key; one that nobody knows never holds.
    if (problem !== undefined) report(warning(`${field}.key`, problem));
  }
  if (values.length === 0) report(required(`${field}.values`, 'at least one value'));
  if (key === 'destination.port' && (rule.ports ?? rule.notPorts) !== undefined) {
    report(forbidden(`${field}.key`, 'the field ports says the same: use one of them'));
  }
  for (const [index, value] of values.entries()) {
    if (key !== 'destination.ip' || isIpBlock(value)) continue;
    report(invalid(`${field}.values[${index}]`, value, 'must be an IP address or a CIDR block'));
  }
}

/** `package.Service/Method`, with or without a slash before it. */
const GRPC_PATH = /^\/?[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;

function warnOfGrpc({ paths = [], methods }: AccessRule, field: string, report: Report): void {
  if (methods === undefined || !paths.some((path) => GRPC_PATH.test(path))) return;
  if (methods.some((method) => method === '*' || method === 'POST')) return;
  const message = 'gRPC requests are always POST: the paths of gRPC methods never match';
  report(warning(`${field}.methods`, message, 'add POST'));
}

/** ServiceRole: what its subjects may do, in its own namespace. */
export const serviceRole = defineIstioKind<ServiceRole>({
  group: 'rbac.istio.io',
  versions: ['v1alpha1'],
  kind: 'ServiceRole',
  plural: 'serviceroles',
  shortNames: [],
  description: 'What subjects of the role may do with services of its namespace.',
  spec,
  columns: [ageColumn],
  check(role, report) {
    const rules = role.spec?.rules ?? [];
    if (rules.length === 0) report(required('spec.rules', 'at least one rule'));
    for (const [index, rule] of rules.entries()) {
      checkAccessRule(rule, `spec.rules[${index}]`, report);
    }
  },
});
