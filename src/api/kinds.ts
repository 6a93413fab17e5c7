import type { KindDefinition } from '#api/kind.ts';
import { authorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { configMap } from '#api/kinds/config-map.ts';
import { destinationRule } from '#api/kinds/destination-rule.ts';
import { namespace } from '#api/kinds/namespace.ts';
import { peerAuthentication } from '#api/kinds/peer-authentication.ts';
import { secret } from '#api/kinds/secret.ts';
import { service } from '#api/kinds/service.ts';
import { serviceAccount } from '#api/kinds/service-account.ts';
import { serviceEntry } from '#api/kinds/service-entry.ts';
import { workloadEntry } from '#api/kinds/workload-entry.ts';
import { workloadGroup } from '#api/kinds/workload-group.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import { assert } from '#base/assert.ts';

/** Every kind of the API, once. */
export const KINDS: readonly KindDefinition[] = [
  namespace,
  serviceAccount,
  secret,
  configMap,
  service,
  workloadEntry,
  workloadGroup,
  serviceEntry,
  destinationRule,
  peerAuthentication,
  authorizationPolicy,
];

const byId = new Map<KindId, KindDefinition>(KINDS.map((kind) => [kind.id, kind]));

const byGroupVersionKind = new Map<string, KindDefinition>();
const byGroupVersionPlural = new Map<string, KindDefinition>();
/** Names as a user types them: plural, singular, short; each also with its group. */
const byName = new Map<string, KindDefinition>();

for (const kind of KINDS) {
  for (const version of kind.versions) {
    const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`;
    byGroupVersionKind.set(`${apiVersion} ${kind.kind}`, kind);
    byGroupVersionPlural.set(`${apiVersion} ${kind.plural}`, kind);
  }
  for (const name of [kind.plural, kind.singular, ...kind.shortNames]) {
    byName.set(name, kind);
    if (kind.group !== '') byName.set(`${name}.${kind.group}`, kind);
  }
}

/** The kind of an id such as `authorizationpolicies.security.istio.io`. */
export function kindById(id: KindId): KindDefinition | undefined {
  return byId.get(id);
}

/** The kind of an object's `apiVersion` and `kind`, in any served version. */
export function kindOf(apiVersion: string, kind: string): KindDefinition | undefined {
  return byGroupVersionKind.get(`${apiVersion} ${kind}`);
}

/** The kind of a request path `/apis/<group>/<version>/…/<plural>`; group '' for `/api/v1`. */
export function kindOfPath(
  group: string,
  version: string,
  plural: string,
): KindDefinition | undefined {
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return byGroupVersionPlural.get(`${apiVersion} ${plural}`);
}

/** The kind that a user names: plural, singular or short name, `pa` or `dr.networking.istio.io`. */
export function kindByName(name: string): KindDefinition | undefined {
  return byName.get(name.toLowerCase());
}

/**
 * The object with what the server fills in where a user left it out; as it is when its kind is
 * unknown.
 */
export function applyDefaults(object: ApiObject): ApiObject {
  return kindOf(object.apiVersion, object.kind)?.defaults?.(object) ?? object;
}

/**
 * The object in another served version of its kind: all versions of a kind have the same content.
 */
export function inVersion(kind: KindDefinition, object: ApiObject, version: string): ApiObject {
  assert(kind.versions.includes(version), `${kind.id} is not served in version ${version}`);
  const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`;
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}
