import type { Column } from '#api/kind.ts';
import { defineKind } from '#api/kind.ts';
import {
  type AccessRule,
  accessRules,
  checkAccessRules,
  plainRules,
  RBAC_GROUP,
} from '#api/kinds/access-rules.ts';
import type { ApiObject } from '#api/object.ts';

/** Kubernetes' Role (rbac.authorization.k8s.io/v1): rights within its namespace. */
export interface Role extends ApiObject {
  readonly rules?: readonly AccessRule[] | null;
}

/** When a role was made: an instant, where other kinds show an age. */
export const createdAtColumn: Column<ApiObject> = {
  name: 'Created At',
  type: 'instant',
  description: 'When the object was created.',
  priority: 0,
  value: ({ metadata }) => metadata.creationTimestamp ?? null,
};

/** Role. */
export const role = defineKind<Role>({
  group: RBAC_GROUP,
  versions: ['v1'],
  kind: 'Role',
  plural: 'roles',
  shortNames: [],
  categories: [],
  namespaced: true,
  statusSubresource: false,
  nameRule: 'segment',
  description: 'What may be done in its namespace by those whom a RoleBinding names.',
  fields: { rules: accessRules },
  columns: [createdAtColumn],
  check({ rules }, report) {
    checkAccessRules(rules ?? [], { namespaced: true }, report);
  },
  defaults: (object) => ({ ...object, rules: plainRules(object.rules) }),
});
