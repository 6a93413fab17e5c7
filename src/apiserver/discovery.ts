import { createHash } from 'node:crypto';
import {
  groupVersion,
  SERVED_GROUPS,
  SERVED_RESOURCES,
  type ServedGroup,
  type ServedResource,
  type ServedSubresource,
} from '#apiserver/served-resources.ts';

/**
 * The form of discovery that tells all of a group in one answer (kubernetes.io, "Aggregated
 * discovery").
 */
export const AGGREGATED_TYPE =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

function inGroup(group: string, version: string): readonly ServedResource[] {
  return SERVED_RESOURCES.filter((one) => one.group === group && one.version === version);
}

/** `GET /api`. `address` = host and port of the server. */
export function apiVersions(address: string): object {
  const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress: address }];
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs };
}

function groupEntry({ name, versions }: ServedGroup): object {
  const entries = versions.map((version) => ({
    groupVersion: groupVersion(name, version),
    version,
  }));
  return { name, versions: entries, preferredVersion: entries[0] };
}

/** `GET /apis`. */
export function apiGroupList(): object {
  const groups = SERVED_GROUPS.filter(({ name }) => name !== '').map(groupEntry);
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** `GET /apis/<group>`; undefined when there is no such group. */
export function apiGroup(name: string): object | undefined {
  const group = SERVED_GROUPS.find((served) => served.name === name && name !== '');
  return group && { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group) };
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`; undefined when there is no such version. */
export function apiResourceList(group: string, version: string): object | undefined {
  const served = inGroup(group, version);
  if (served.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    // Kubernetes leaves it out for the core group.
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: groupVersion(group, version),
    resources: served.flatMap((resource) => [
      resourceEntry(resource),
      ...resource.subresources.map((part) => subresourceEntry(resource, part)),
    ]),
  };
}

function resourceEntry(resource: ServedResource): object {
  const { name, singular, namespaced, kind, verbs, shortNames, categories } = resource;
  return {
    name,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(resource.definition ? { storageVersionHash: storageHash(resource) } : {}),
  };
}

/** Opaque: the same as long as objects of the kind are stored in the same version. */
function storageHash({ definition }: ServedResource): string {
  const stored = `${definition?.apiVersion}/${definition?.kind}`;
  return createHash('sha256').update(stored).digest().subarray(0, 8).toString('base64');
}

function subresourceEntry({ name, namespaced }: ServedResource, part: ServedSubresource): object {
  const { group, version, kind, verbs } = part;
  return {
    name: `${name}/${part.name}`,
    singularName: '',
    namespaced,
    ...(group === undefined ? {} : { group }),
    ...(version === undefined ? {} : { version }),
    kind,
    verbs,
  };
}

/** The aggregated form of `GET /api` (the core group) or `GET /apis` (all others). */
export function aggregated(core: boolean): object {
  const groups = SERVED_GROUPS.filter(({ name }) => (name === '') === core);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(({ name, versions }) => ({
      metadata: name === '' ? {} : { name },
      versions: versions.map((version) => ({
        version,
        resources: inGroup(name, version).map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  };
}

function aggregatedResource(resource: ServedResource): object {
  const { name, singular, namespaced, kind, verbs, shortNames, categories } = resource;
  const { subresources } = resource;
  // For built-in kinds Kubernetes leaves group and version empty: those of the list are meant.
  const own = resource.definition?.custom
    ? { group: resource.group, version: resource.version }
    : { group: '', version: '' };
  const parts = subresources.map((part) => ({
    subresource: part.name,
    responseKind: {
      group: part.group ?? own.group,
      version: part.version ?? own.version,
      kind: part.kind,
    },
    verbs: part.verbs,
  }));
  return {
    resource: name,
    responseKind: { ...own, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(parts.length > 0 ? { subresources: parts } : {}),
  };
}
