import { ADMIN_PATHS } from '#admin/contract.ts';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import { clusterRole, on, paths, READ, readingMesh } from '#apiserver/rbac/default-roles.ts';

const { audit, traffic, users: _users, ...others } = ADMIN_PATHS;

/**
 * Roles about the mesh as a whole, for people who look after it without being its administrators.
 * Bound to nobody: an administrator gives them.
 */
export const MESH_ROLES: readonly ClusterRole[] = [
  // What `bulwark can`, `explain`, `matrix`, `mtls`, `proxy-status` and the like ask a server.
  clusterRole('bulwark:mesh-viewer', [
    paths(...Object.values(others)),
    ...readingMesh('everywhere'),
    on('', ['configmaps', 'namespaces', 'nodes', 'pods', 'serviceaccounts', 'services'], READ),
  ]),
  // Who called whom, and who changed what: not for everybody who may see policies.
  clusterRole('bulwark:auditor', [paths(audit, traffic)]),
];
