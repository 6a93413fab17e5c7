import type { AccessBinding, Subject } from '#api/kinds/access-binding.ts';
import { type AccessRule, RBAC_GROUP } from '#api/kinds/access-rules.ts';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import { KINDS } from '#api/kinds.ts';
import { AUTHENTICATED, MASTERS } from '#apiserver/authorize.ts';

/** The annotation by which an administrator keeps the server from mending a role: `false`. */
export const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

const API_VERSION = `${RBAC_GROUP}/v1`;
const BOOTSTRAPPED = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
/** Verbs that change nothing. */
export const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const AGGREGATES = 'rbac.authorization.k8s.io/aggregate-to-';

/** A rule about resources of one group. */
export function on(
  group: string,
  resources: readonly string[],
  verbs: readonly string[],
): AccessRule {
  return { verbs, apiGroups: [group], resources };
}

/** A rule about paths: they are only read. */
export function paths(...nonResourceURLs: string[]): AccessRule {
  return { verbs: ['get'], nonResourceURLs };
}

/** A role that every server has; `aggregatesTo`: whose rules have its rules too. */
export function clusterRole(
  name: string,
  rules: readonly AccessRule[],
  aggregatesTo?: 'admin' | 'edit' | 'view',
): ClusterRole {
  const label = aggregatesTo ? { [`${AGGREGATES}${aggregatesTo}`]: 'true' } : {};
  const labels = { ...BOOTSTRAPPED, ...label };
  const metadata = { name, labels, annotations: { [AUTOUPDATE]: 'true' } };
  return { apiVersion: API_VERSION, kind: 'ClusterRole', metadata, rules };
}

/** `admin`, `edit` or `view`: a role of whatever roles are labelled for it. */
function collected(name: 'admin' | 'edit' | 'view', aggregatesTo?: 'admin' | 'edit'): ClusterRole {
  const matchLabels = { [`${AGGREGATES}${name}`]: 'true' };
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels }] };
  return { ...clusterRole(name, [], aggregatesTo), rules: null, aggregationRule };
}

function bound(name: string, ...subjects: Subject[]): AccessBinding {
  const metadata = { name, labels: BOOTSTRAPPED, annotations: { [AUTOUPDATE]: 'true' } };
  const roleRef = { apiGroup: RBAC_GROUP, kind: 'ClusterRole', name };
  return { apiVersion: API_VERSION, kind: 'ClusterRoleBinding', metadata, subjects, roleRef };
}

function groupOf(name: string): Subject {
  return { kind: 'Group', apiGroup: RBAC_GROUP, name };
}

const OPEN = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
const DISCOVERY = ['/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*'];

/** Roles of Kubernetes itself; for its workloads, of what this server can ever serve. */
const KUBERNETES_ROLES: readonly ClusterRole[] = [
  clusterRole('cluster-admin', [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ]),
  clusterRole('system:basic-user', [
    on('authorization.k8s.io', ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    on('authentication.k8s.io', ['selfsubjectreviews'], ['create']),
  ]),
  clusterRole('system:public-info-viewer', [paths(...OPEN)]),
  clusterRole('system:discovery', [paths(...DISCOVERY, ...OPEN)]),
  clusterRole('system:auth-delegator', [
    on('authentication.k8s.io', ['tokenreviews'], ['create']),
    on('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
  ]),
  clusterRole('system:service-account-issuer-discovery', [
    paths(
      '/.well-known/openid-configuration',
      '/.well-known/openid-configuration/',
      '/openid/v1/jwks',
      '/openid/v1/jwks/',
    ),
  ]),
  clusterRole('system:monitoring', [
    paths('/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/readyz', '/readyz/*'),
  ]),
  clusterRole(
    'system:aggregate-to-admin',
    [
      on('authorization.k8s.io', ['localsubjectaccessreviews'], ['create']),
      on(RBAC_GROUP, ['rolebindings', 'roles'], [...READ, ...WRITE]),
    ],
    'admin',
  ),
  clusterRole(
    'system:aggregate-to-edit',
    [
      on('', ['secrets', 'services/proxy'], READ),
      on('', ['serviceaccounts'], ['impersonate']),
      on('', ['pods'], WRITE),
      on('', ['configmaps', 'secrets', 'serviceaccounts', 'services', 'services/proxy'], WRITE),
      on('', ['serviceaccounts/token'], ['create']),
      on('coordination.k8s.io', ['leases'], [...READ, ...WRITE]),
    ],
    'edit',
  ),
  clusterRole(
    'system:aggregate-to-view',
    [
      on(
        '',
        ['configmaps', 'endpoints', 'pods', 'serviceaccounts', 'services', 'services/status'],
        READ,
      ),
      on('', ['namespaces/status', 'pods/log', 'pods/status'], READ),
      on('', ['namespaces'], READ),
      { verbs: READ, apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
      on('discovery.k8s.io', ['endpointslices'], READ),
    ],
    'view',
  ),
  collected('view', 'edit'),
  collected('edit', 'admin'),
  collected('admin'),
];

/**
 * What a team decides for its own namespace alone: who may call its workloads, how they prove
 * themselves, and where they are. What could reach into other namespaces (routes and services for
 * any host, gateways, RbacConfig) is for administrators of the mesh.
 */
const TEAM_KINDS: Readonly<Record<string, readonly string[]>> = {
  'security.istio.io': ['authorizationpolicies', 'peerauthentications', 'requestauthentications'],
  'authentication.istio.io': ['policies'],
  'rbac.istio.io': ['servicerolebindings', 'serviceroles'],
  'config.istio.io': [
    ...['checknothings', 'deniers', 'handlers', 'instances'],
    ...['listcheckers', 'listentries', 'rules'],
  ],
  'networking.istio.io': ['workloadentries', 'workloadgroups'],
};

/** Rules by which all kinds of the mesh are read, or those that live in namespaces. */
export function readingMesh(where: 'everywhere' | 'in a namespace'): readonly AccessRule[] {
  const kinds = new Map<string, string[]>();
  for (const { group, plural, custom, namespaced } of KINDS) {
    if (!custom || (where === 'in a namespace' && !namespaced)) continue;
    kinds.set(group, [...(kinds.get(group) ?? []), plural].sort());
  }
  return [...kinds].map(([group, resources]) => on(group, resources, READ));
}

const MESH_ROLES: readonly ClusterRole[] = [
  clusterRole(
    'bulwark:aggregate-to-edit',
    Object.entries(TEAM_KINDS).map(([group, resources]) => on(group, resources, WRITE)),
    'edit',
  ),
  clusterRole('bulwark:aggregate-to-view', readingMesh('in a namespace'), 'view'),
  // What a gateway is to have for the Secrets of its servers, as in Istio's own installation.
  clusterRole('bulwark:gateway', [on('', ['secrets'], READ)]),
  // What an agent asks of the API: tokens of the accounts whose workloads it runs.
  clusterRole('bulwark:agent', [on('', ['serviceaccounts/token'], ['create'])]),
];

/** The roles that every server has. */
export const DEFAULT_ROLES: readonly ClusterRole[] = [...KUBERNETES_ROLES, ...MESH_ROLES];

/** Who has which of them. */
export const DEFAULT_BINDINGS: readonly AccessBinding[] = [
  bound('cluster-admin', groupOf(MASTERS)),
  bound('system:basic-user', groupOf(AUTHENTICATED)),
  bound('system:public-info-viewer', groupOf(AUTHENTICATED), groupOf('system:unauthenticated')),
  bound('system:discovery', groupOf(AUTHENTICATED)),
  bound('system:monitoring', groupOf('system:monitoring')),
  bound('system:service-account-issuer-discovery', groupOf('system:serviceaccounts')),
];
