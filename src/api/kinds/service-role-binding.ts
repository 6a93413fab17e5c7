import { isIpBlock } from '#api/address.ts';
import { ageColumn, fieldColumn } from '#api/columns.ts';
import { forbidden, invalid, required, violates, warning, wrongType } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { propertyKeyProblem } from '#api/kinds/role-key.ts';
import { accessRule, checkAccessRule } from '#api/kinds/service-role.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, list, object, type Schema, text, type ValueOf } from '#api/schema.ts';

const words = (description: string) => list(description, text('A value.'));

/** Conditions by attribute. */
type Properties = Readonly<Record<string, string>>;

/** A map; the documents write a list of maps with one entry each, which means the same. */
const properties: Schema<Properties | readonly Properties[]> = {
  description: 'Conditions on attributes, all of which must hold: `source.namespace: photo-ns`.',
  'x-kubernetes-preserve-unknown-fields': true,
};

const subject = object('Who gets the role: every field that is set must hold.', {
  user: text('Principal of the caller, `<trust domain>/ns/<ns>/sa/<account>`; `*` is everybody.'),
  names: words('Principals of which the caller has one.'),
  notNames: words('Principals of which the caller has none.'),
  group: text('Old way to write one of `groups`.'),
  groups: words('Groups, from the claim `groups` of the token; the caller is in one of them.'),
  notGroups: words('Groups of which the caller is in none.'),
  namespaces: words('Namespaces of the caller.'),
  notNamespaces: words('Namespaces that the caller is not from.'),
  ips: words('Addresses or CIDR blocks of the caller.'),
  notIps: words('Addresses or CIDR blocks that the caller is not from.'),
  properties,
});

const roleRef = object('The role.', {
  kind: text('`ServiceRole`.'),
  name: text('Name of a ServiceRole of the same namespace.'),
});

const spec = object('Who gets which role.', {
  subjects: list('Those who get the role.', subject),
  roleRef,
  role: text('The role by its name; `/<name>` for one of the root namespace.'),
  actions: list('Rules written here instead of in a role.', accessRule),
  mode: choice('PERMISSIVE: what the binding would let in is recorded, and it lets nobody in.', [
    'ENFORCED',
    'PERMISSIVE',
  ]),
});

/** One of `subjects`. */
export interface RoleSubject extends ValueOf<typeof subject> {}
/** `spec` of a ServiceRoleBinding. */
export interface ServiceRoleBindingSpec extends ValueOf<typeof spec> {}

/** ServiceRoleBinding of rbac.istio.io/v1alpha1. */
export interface ServiceRoleBinding extends ApiObject {
  readonly spec?: ServiceRoleBindingSpec;
  readonly status?: IstioStatus;
}

/** The properties of a subject as pairs, in whichever form they are written. */
export function propertiesOf({ properties: given = {} }: RoleSubject): readonly [string, string][] {
  return [given].flat().flatMap((entry) => Object.entries(entry));
}

const LISTS = [
  'names',
  'notNames',
  'groups',
  'notGroups',
  'namespaces',
  'notNamespaces',
  'ips',
  'notIps',
] as const;

/** Fields that say the same as a property. */
const SAME_AS_PROPERTY: Readonly<Record<string, readonly (keyof RoleSubject)[]>> = {
  'source.principal': ['user', 'names', 'notNames'],
  'request.auth.claims[groups]': ['group', 'groups', 'notGroups'],
  'source.namespace': ['namespaces', 'notNamespaces'],
  'source.ip': ['ips', 'notIps'],
};

function checkSubject(given: RoleSubject, field: string, report: Report): void {
  if (!isProperties(given.properties)) {
    const detail = 'write it as a map: `source.namespace: photo-ns`';
    report(wrongType(`${field}.properties`, 'object', 'other', detail));
    return;
  }
  const pairs = propertiesOf(given);
  const isEmpty = LISTS.every((name) => (given[name] ?? []).length === 0);
  if (isEmpty && !given.user && !given.group && pairs.length === 0) {
    report(required(field, 'at least one field; write `user: "*"` for everybody'));
  }
  if (given.user && given.names !== undefined)
    report(violates(field, 'user and names do not go together'));
  if (given.group && given.groups !== undefined)
    report(violates(field, 'group and groups do not go together'));
  for (const name of LISTS) {
    for (const [index, value] of (given[name] ?? []).entries()) {
      if (value === '') report(invalid(`${field}.${name}[${index}]`, value, 'must not be empty'));
      else if ((name === 'ips' || name === 'notIps') && !isIpBlock(value)) {
        const detail = 'must be an IP address or a CIDR block';
        report(invalid(`${field}.${name}[${index}]`, value, detail));
      }
    }
  }
  if (Array.isArray(given.properties)) {
    const message = 'a list of maps is taken for one map';
    report(warning(`${field}.properties`, message, 'write the entries without dashes'));
  }
  checkProperties(given, pairs, `${field}.properties`, report);
}

function isProperties(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((entry) => isProperties(entry));
  if (value === undefined) return true;
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every((text) => typeof text === 'string');
}

function checkProperties(
  given: RoleSubject,
  pairs: readonly [string, string][],
  field: string,
  report: Report,
): void {
  for (const [key, value] of pairs) {
    const at = `${field}[${key}]`;
    const problem = propertyKeyProblem(key);
    // Istio takes any key; one that nobody knows never holds.
    if (problem !== undefined) report(warning(at, problem));
    if (key === 'source.ip' && !isIpBlock(value))
      report(invalid(at, value, 'must be an IP address or a CIDR block'));
    const same = SAME_AS_PROPERTY[key]?.find((name) => name !== 'user' && given[name]);
    if (same !== undefined)
      report(forbidden(at, `the field ${same} says the same: use one of them`));
  }
}

function checkRole({ roleRef: ref, role, actions }: ServiceRoleBindingSpec, report: Report): void {
  const given = [ref, role, actions].filter((one) => one !== undefined && one !== '').length;
  if (given !== 1)
    report(violates('spec', 'exactly one of `roleRef`, `role`, or `actions` must be specified'));
  if (ref !== undefined && ref.kind !== 'ServiceRole') {
    const detail = 'the only supported value is "ServiceRole"';
    report(invalid('spec.roleRef.kind', ref.kind ?? '', detail));
  }
  if (ref !== undefined && !ref.name) report(required('spec.roleRef.name', 'cannot be empty'));
  for (const [index, rule] of (actions ?? []).entries()) {
    checkAccessRule(rule, `spec.actions[${index}]`, report);
  }
}

/** ServiceRoleBinding: gives a role to its subjects. */
export const serviceRoleBinding = defineIstioKind<ServiceRoleBinding>({
  group: 'rbac.istio.io',
  versions: ['v1alpha1'],
  kind: 'ServiceRoleBinding',
  plural: 'servicerolebindings',
  shortNames: [],
  description: 'Gives a ServiceRole to subjects.',
  spec,
  columns: [fieldColumn('Role', '.spec.roleRef.name', 'The role that is given.'), ageColumn],
  check(binding, report) {
    const { subjects = [], ...rest } = binding.spec ?? {};
    if (subjects.length === 0) report(required('spec.subjects', 'at least one subject'));
    for (const [index, one] of subjects.entries()) {
      checkSubject(one, `spec.subjects[${index}]`, report);
    }
    checkRole(rest, report);
  },
});
