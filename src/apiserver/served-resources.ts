import type { KindDefinition } from '#api/kind.ts';
import { KINDS } from '#api/kinds.ts';
import type { Verb } from '#apiserver/request-info.ts';

/** A part of a resource that has a path and a form of its own: `status`, `token`. */
export interface ServedSubresource {
  readonly name: string;
  /**
   * Group, version and kind of what is sent and answered, where they are not those of the resource.
   */
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly Verb[];
}

/**
 * A resource of one group and version, as discovery tells it and as requests are checked against
 * it.
 */
export interface ServedResource {
  readonly group: string;
  readonly version: string;
  /** Plural. */
  readonly name: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs: readonly Verb[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly ServedSubresource[];
  /** Undefined for reviews, which are answered and not stored. */
  readonly definition: KindDefinition | undefined;
}

/** A group and its versions, the preferred one first. */
export interface ServedGroup {
  /** '' for the core group. */
  readonly name: string;
  readonly versions: readonly string[];
}

const VERBS: readonly Verb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];
/** The same for custom kinds, in the order in which Kubernetes lists them. */
const CUSTOM_VERBS: readonly Verb[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
];
const STATUS_VERBS: readonly Verb[] = ['get', 'patch', 'update'];

/** The group of tokens and of who somebody is. */
export const AUTHENTICATION_GROUP = 'authentication.k8s.io';

/** The group of questions about who may do what. */
export const AUTHORIZATION_GROUP = 'authorization.k8s.io';

const TOKEN: ServedSubresource = {
  name: 'token',
  group: AUTHENTICATION_GROUP,
  version: 'v1',
  kind: 'TokenRequest',
  verbs: ['create'],
};

function ofKind(definition: KindDefinition, version: string): ServedResource {
  const { group, plural, singular, namespaced, kind, shortNames, categories } = definition;
  const status = { name: 'status', kind, verbs: STATUS_VERBS };
  const verbs = definition.custom ? CUSTOM_VERBS : VERBS;
  return {
    group,
    version,
    name: plural,
    singular,
    namespaced,
    kind,
    verbs: definition.id === 'namespaces' ? verbs.filter((v) => v !== 'deletecollection') : verbs,
    shortNames,
    categories,
    subresources: [
      ...(definition.statusSubresource ? [status] : []),
      ...(definition.id === 'serviceaccounts' ? [TOKEN] : []),
    ],
    definition,
  };
}

function review(group: string, kind: string, namespaced = false): ServedResource {
  const singular = kind.toLowerCase();
  return {
    group,
    version: 'v1',
    name: `${singular}s`,
    singular,
    namespaced,
    kind,
    verbs: ['create'],
    shortNames: [],
    categories: [],
    subresources: [],
    definition: undefined,
  };
}

/** Everything the API serves, sorted by name within a group. */
export const SERVED_RESOURCES: readonly ServedResource[] = [
  ...KINDS.flatMap((kind) => kind.versions.map((version) => ofKind(kind, version))),
  review(AUTHENTICATION_GROUP, 'SelfSubjectReview'),
  review(AUTHENTICATION_GROUP, 'TokenReview'),
  review(AUTHORIZATION_GROUP, 'LocalSubjectAccessReview', true),
  review(AUTHORIZATION_GROUP, 'SelfSubjectAccessReview'),
  review(AUTHORIZATION_GROUP, 'SelfSubjectRulesReview'),
  review(AUTHORIZATION_GROUP, 'SubjectAccessReview'),
].sort((a, b) => (a.name < b.name ? -1 : 1));

/** The groups, the core group first. */
export const SERVED_GROUPS: readonly ServedGroup[] = groups();

function groups(): ServedGroup[] {
  const versions = new Map<string, Set<string>>([
    ['', new Set()],
    [AUTHENTICATION_GROUP, new Set(['v1'])],
    [AUTHORIZATION_GROUP, new Set(['v1'])],
  ]);
  for (const kind of KINDS) {
    const known = versions.get(kind.group) ?? new Set();
    for (const version of kind.versions) known.add(version);
    versions.set(kind.group, known);
  }
  return [...versions].map(([name, known]) => ({ name, versions: [...known] }));
}

/** `v1`, `security.istio.io/v1`. */
export function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

const byPath = new Map(
  SERVED_RESOURCES.map((resource) => [
    `${groupVersion(resource.group, resource.version)}/${resource.name}`,
    resource,
  ]),
);

/** The resource that a path means; undefined = none is served there. */
export function findServed(
  group: string,
  version: string,
  resource: string,
): ServedResource | undefined {
  return byPath.get(`${groupVersion(group, version)}/${resource}`);
}
