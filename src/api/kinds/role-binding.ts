import { defineKind } from '#api/kind.ts';
import {
  type AccessBinding,
  BINDING_COLUMNS,
  BINDING_FIELDS,
  checkBinding,
  checkSameRole,
  plainBinding,
} from '#api/kinds/access-binding.ts';
import { RBAC_GROUP } from '#api/kinds/access-rules.ts';

/** RoleBinding (rbac.authorization.k8s.io/v1): gives a role within its namespace. */
export const roleBinding = defineKind<AccessBinding>({
  group: RBAC_GROUP,
  versions: ['v1'],
  kind: 'RoleBinding',
  plural: 'rolebindings',
  shortNames: [],
  categories: [],
  namespaced: true,
  statusSubresource: false,
  nameRule: 'segment',
  description: 'Gives the rights of a Role or ClusterRole within its namespace.',
  fields: BINDING_FIELDS,
  requiredFields: ['roleRef'],
  columns: BINDING_COLUMNS,
  check: (object, report) => checkBinding(object, ['Role', 'ClusterRole'], report),
  checkChange: checkSameRole,
  defaults: plainBinding,
});

/** ClusterRoleBinding (rbac.authorization.k8s.io/v1): gives a role everywhere. */
export const clusterRoleBinding = defineKind<AccessBinding>({
  group: RBAC_GROUP,
  versions: ['v1'],
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  shortNames: [],
  categories: [],
  namespaced: false,
  statusSubresource: false,
  nameRule: 'segment',
  description: 'Gives the rights of a ClusterRole in all namespaces and beyond them.',
  fields: BINDING_FIELDS,
  requiredFields: ['roleRef'],
  columns: BINDING_COLUMNS,
  check: (object, report) => checkBinding(object, ['ClusterRole'], report),
  checkChange: checkSameRole,
  defaults: plainBinding,
});
