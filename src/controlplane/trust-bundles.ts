import type { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import type { Authority } from '#controlplane/authority.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { bundleDocument, type SpiffeBundle } from '#spiffe/bundle.ts';
import type { XdsResource } from '#xds/resource.ts';
import { trustBundlesResource } from '#xds/serve/trust-resource.ts';

export interface OwnBundleDeps {
  readonly authority: Pick<Authority, 'rootPem'>;
  readonly jwtKeys: Pick<JwtKeys, 'authorities'>;
}

/** What vouches for the identities of this mesh now. */
export function ownBundle({ authority, jwtKeys }: OwnBundleDeps): SpiffeBundle {
  return {
    roots: parseCertificatesPem(authority.rootPem).map(({ der }) => der),
    jwtAuthorities: jwtKeys.authorities,
  };
}

/**
 * All that workloads are to know of trust domains: their own, its aliases, and those that the mesh
 * is federated with. Those of the mesh come last, so that nothing can stand in their place.
 */
export function trustBundles(
  { settings, trustBundles: federated }: MeshSnapshot,
  deps: OwnBundleDeps,
): XdsResource {
  const own = meshTrustDomains(settings);
  const document = bundleDocument(ownBundle(deps));
  return trustBundlesResource({
    own,
    trust_domains: Object.fromEntries([
      ...federated.all.map(({ trustDomain, bundle }) => [trustDomain, bundleDocument(bundle)]),
      ...own.map((name) => [name, document]),
    ]),
  });
}
