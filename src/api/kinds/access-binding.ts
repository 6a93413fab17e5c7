import { ageColumn } from '#api/columns.ts';
import { invalid, required, unsupported } from '#api/field-error.ts';
import type { Column, Report } from '#api/kind.ts';
import { RBAC_GROUP } from '#api/kinds/access-rules.ts';
import { segmentProblems, subdomainProblems } from '#api/names.ts';
import type { ApiObject } from '#api/object.ts';
import { list, object, text, type ValueOf } from '#api/schema.ts';

/** The role that a binding gives. */
const roleRef = object(
  'The role that is given; it can never be changed.',
  {
    apiGroup: text('Group of the role.', { default: RBAC_GROUP }),
    kind: text('`Role` or `ClusterRole`.'),
    name: text('Name of the role.'),
  },
  { 'x-kubernetes-map-type': 'atomic', required: ['kind', 'name'] },
);

const subject = object(
  'Somebody who gets the role.',
  {
    kind: text('`User`, `Group` or `ServiceAccount`.'),
    apiGroup: text("Group of the kind; '' for service accounts."),
    name: text('Name of the user, group or account.'),
    namespace: text('Namespace of the service account.'),
  },
  { 'x-kubernetes-map-type': 'atomic', required: ['kind', 'name'] },
);

/** Somebody who gets a role (rbac.authorization.k8s.io/v1 Subject). */
export type Subject = ValueOf<typeof subject>;

/** The role that is given (rbac.authorization.k8s.io/v1 RoleRef). */
export type RoleRef = ValueOf<typeof roleRef>;

/** A RoleBinding or ClusterRoleBinding. */
export interface AccessBinding extends ApiObject {
  readonly subjects?: readonly Subject[];
  readonly roleRef: RoleRef;
}

/** The fields of both kinds of binding. */
export const BINDING_FIELDS = {
  subjects: list('Who gets the role.', subject, { 'x-kubernetes-list-type': 'atomic' }),
  roleRef,
};

/** Reports what is wrong with a binding, whose role may be of one of `roleKinds`. */
export function checkBinding(
  { roleRef: role, subjects = [] }: AccessBinding,
  roleKinds: readonly string[],
  report: Report,
): void {
  const { apiGroup = RBAC_GROUP, kind, name } = role;
  if (apiGroup !== RBAC_GROUP) report(unsupported('roleRef.apiGroup', apiGroup, [RBAC_GROUP]));
  if (!roleKinds.includes(kind)) report(unsupported('roleRef.kind', kind, roleKinds));
  if (name === '') report(required('roleRef.name'));
  else for (const problem of segmentProblems(name)) report(invalid('roleRef.name', name, problem));
  const inNamespace = roleKinds.includes('Role');
  for (const [index, one] of subjects.entries()) {
    checkSubject(one, `subjects[${index}]`, inNamespace, report);
  }
}

const SUBJECT_KINDS = ['ServiceAccount', 'User', 'Group'];

function checkSubject(one: Subject, field: string, inNamespace: boolean, report: Report): void {
  const { kind, name, namespace = '' } = one;
  if (name === '') report(required(`${field}.name`));
  if (!SUBJECT_KINDS.includes(kind)) {
    report(unsupported(`${field}.kind`, kind, SUBJECT_KINDS));
    return;
  }
  const group = kind === 'ServiceAccount' ? '' : RBAC_GROUP;
  const { apiGroup = group } = one;
  // Left out, the group of people is filled in; an empty one is what is left out.
  if (apiGroup !== group && apiGroup !== '') {
    report(unsupported(`${field}.apiGroup`, apiGroup, [group]));
  }
  if (kind !== 'ServiceAccount') return;
  if (name !== '') {
    for (const problem of subdomainProblems(name)) report(invalid(`${field}.name`, name, problem));
  }
  if (namespace === '' && !inNamespace) report(required(`${field}.namespace`));
}

/** Reports a change of the role: whoever may change a binding may not choose another role. */
export function checkSameRole(before: AccessBinding, after: AccessBinding, report: Report): void {
  const { apiGroup = RBAC_GROUP, kind, name } = after.roleRef;
  const same = before.roleRef.kind === kind && before.roleRef.name === name;
  if (same && (before.roleRef.apiGroup ?? RBAC_GROUP) === apiGroup) return;
  const value = { APIGroup: apiGroup, Kind: kind, Name: name };
  report(invalid('roleRef', value, 'cannot change roleRef'));
}

/** A binding with its groups filled in, and without empty texts and lists. */
export function plainBinding(binding: AccessBinding): AccessBinding {
  const { subjects = [], roleRef: role, ...rest } = binding;
  const plain = { ...rest, roleRef: { ...role, apiGroup: role.apiGroup || RBAC_GROUP } };
  if (subjects.length === 0) return plain;
  return { ...plain, subjects: subjects.map(plainSubject) };
}

function plainSubject({ kind, apiGroup, name, namespace }: Subject): Subject {
  const group = kind === 'ServiceAccount' ? apiGroup : apiGroup || RBAC_GROUP;
  return { kind, name, ...(group ? { apiGroup: group } : {}), ...(namespace ? { namespace } : {}) };
}

const namesOf = (
  name: string,
  kind: string,
  shown: (subject: Subject) => string,
): Column<AccessBinding> => ({
  name,
  type: 'string',
  description: `Who gets the role, of the kind ${kind}.`,
  priority: 1,
  value: ({ subjects = [] }) =>
    subjects
      .filter((one) => one.kind === kind)
      .map(shown)
      .join(', '),
});

/** What `kubectl get` prints of a binding. */
export const BINDING_COLUMNS: readonly Column<AccessBinding>[] = [
  {
    name: 'Role',
    type: 'string',
    description: 'The role that is given.',
    priority: 0,
    value: ({ roleRef: { kind, name } }) => `${kind}/${name}`,
  },
  ageColumn,
  namesOf('Users', 'User', ({ name }) => name),
  namesOf('Groups', 'Group', ({ name }) => name),
  namesOf(
    'ServiceAccounts',
    'ServiceAccount',
    ({ name, namespace = '' }) => `${namespace}/${name}`,
  ),
];
