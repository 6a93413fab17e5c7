import type { ServiceEndpoints } from '#model/endpoint.ts';
import type { Service } from '#model/service.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

/**
 * Whom a client takes for a service: its certificate must carry one of the ids, or one that begins
 * with one of the prefixes. Both empty = anybody whom the mesh's roots vouch for.
 */
export interface ServerNames {
  readonly ids: readonly string[];
  readonly idPrefixes: readonly string[];
}

/** What secure naming is decided from. */
export interface ServerNamesInput {
  readonly service: Pick<Service, 'namespace' | 'subjectAltNames'>;
  readonly endpoints: Pick<ServiceEndpoints, 'identities' | 'unnamedNamespaces'>;
  /** The trust domain of the mesh, then its other names. */
  readonly trustDomains: readonly TrustDomain[];
  /** Names that a DestinationRule gives; they replace all others. */
  readonly asked: readonly string[];
  /** Hardening.unknownServersAreNarrowed. */
  readonly unknownIsNarrowed: boolean;
}

/**
 * Secure naming: the identities that may answer for a service are the service accounts of its
 * endpoints and the names that its ServiceEntry gives (Istio, "Secure naming"). Where an endpoint's
 * account is not known and no names are given, any identity of the endpoint's namespace will do;
 * where nothing is known, any of the service's namespace. Never simply anybody: an endpoint may
 * arrive a moment before its identity does. A name in one of the trust domains stands for the same
 * one in all of them.
 */
export function serverNames(input: ServerNamesInput): ServerNames {
  const { service, endpoints, trustDomains, asked, unknownIsNarrowed } = input;
  const everywhere = (names: readonly string[]) =>
    sorted(names.flatMap((name) => inEachTrustDomain(name, trustDomains)));
  if (asked.length > 0) return { ids: everywhere(asked), idPrefixes: [] };
  const ids = everywhere([...endpoints.identities, ...service.subjectAltNames]);
  if (!unknownIsNarrowed) return { ids, idPrefixes: [] };
  // Names that the user wrote down stand for endpoints of which nothing is known.
  const unnamed = service.subjectAltNames.length > 0 ? [] : endpoints.unnamedNamespaces;
  const namespaces = ids.length + unnamed.length === 0 ? [service.namespace] : unnamed;
  return {
    ids,
    idPrefixes: sorted(
      namespaces.flatMap((name) =>
        trustDomains.map((trustDomain) => `spiffe://${trustDomain}/ns/${name}/sa/`),
      ),
    ),
  };
}

/** Names of other kinds, and of other trust domains, stand for themselves. */
function inEachTrustDomain(name: string, trustDomains: readonly TrustDomain[]): readonly string[] {
  const own = trustDomains.find((trustDomain) => name.startsWith(`spiffe://${trustDomain}/`));
  if (own === undefined) return [name];
  const path = name.slice(`spiffe://${own}`.length);
  return trustDomains.map((trustDomain) => `spiffe://${trustDomain}${path}`);
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}
