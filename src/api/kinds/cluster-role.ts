import { required, unsupported } from '#api/field-error.ts';
import { defineKind, type Report } from '#api/kind.ts';
import {
  type AccessRule,
  accessRules,
  checkAccessRules,
  plainRules,
  RBAC_GROUP,
} from '#api/kinds/access-rules.ts';
import { createdAtColumn } from '#api/kinds/role.ts';
import type { ApiObject } from '#api/object.ts';
import { list, map, object, text, type ValueOf } from '#api/schema.ts';

const requirement = object('A condition on one label.', {
  key: text('The label.'),
  operator: text('`In`, `NotIn`, `Exists` or `DoesNotExist`.'),
  values: list('What the label may, or may not, be.', text('A value.'), {
    'x-kubernetes-list-type': 'atomic',
  }),
});

const roleSelector = object(
  'ClusterRoles by their labels.',
  {
    matchLabels: map('Labels that a role must have.', text('The value.')),
    matchExpressions: list('Conditions that labels must meet.', requirement, {
      'x-kubernetes-list-type': 'atomic',
    }),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);

const aggregationRule = object('Where the rules of the role come from.', {
  clusterRoleSelectors: list('Roles whose rules become rules of this one.', roleSelector, {
    'x-kubernetes-list-type': 'atomic',
  }),
});

/** Selects ClusterRoles by labels (meta/v1 LabelSelector). */
export type RoleSelector = ValueOf<typeof roleSelector>;

/** Kubernetes' ClusterRole (rbac.authorization.k8s.io/v1): rights that no namespace bounds. */
export interface ClusterRole extends ApiObject {
  readonly rules?: readonly AccessRule[] | null;
  readonly aggregationRule?: ValueOf<typeof aggregationRule>;
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function checkSelector({ matchExpressions = [] }: RoleSelector, field: string, report: Report) {
  for (const [index, { key = '', operator = '', values = [] }] of matchExpressions.entries()) {
    const place = `${field}.matchExpressions[${index}]`;
    if (key === '') report(required(`${place}.key`));
    if (!OPERATORS.includes(operator))
      report(unsupported(`${place}.operator`, operator, OPERATORS));
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (needsValues && values.length === 0) {
      const detail = "must be specified when `operator` is 'In' or 'NotIn'";
      report(required(`${place}.values`, detail));
    }
  }
}

/** ClusterRole. */
export const clusterRole = defineKind<ClusterRole>({
  group: RBAC_GROUP,
  versions: ['v1'],
  kind: 'ClusterRole',
  plural: 'clusterroles',
  shortNames: [],
  categories: [],
  namespaced: false,
  statusSubresource: false,
  nameRule: 'segment',
  description: 'What may be done by those whom a binding names: everywhere, or in its namespace.',
  fields: { rules: accessRules, aggregationRule },
  columns: [createdAtColumn],
  check({ rules, aggregationRule: aggregated }, report) {
    checkAccessRules(rules ?? [], { namespaced: false }, report);
    if (!aggregated) return;
    const { clusterRoleSelectors: selectors = [] } = aggregated;
    const field = 'aggregationRule.clusterRoleSelectors';
    if (selectors.length === 0) {
      const detail = 'at least one clusterRoleSelector required if aggregationRule is non-nil';
      report(required(field, detail));
    }
    for (const [index, selector] of selectors.entries()) {
      checkSelector(selector, `${field}[${index}]`, report);
    }
  },
  defaults: (object) => ({ ...object, rules: plainRules(object.rules) }),
});
