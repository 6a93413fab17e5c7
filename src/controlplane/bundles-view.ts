import type { BundlesView, BundleView } from '#admin/contract.ts';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import { endpointIdentity } from '#controlplane/federation.ts';
import { type OwnBundleDeps, ownBundle } from '#controlplane/trust-bundles.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { bundleDocument, type SpiffeBundle } from '#spiffe/bundle.ts';
import type { Store } from '#store/store.ts';

export interface BundlesViewDeps extends OwnBundleDeps {
  readonly store: Pick<Store, 'list'>;
}

/** Whose roots are trusted for which trust domain, and every TrustBundle that says so or fails. */
export async function bundlesView(
  { settings, trustBundles }: MeshSnapshot,
  deps: BundlesViewDeps,
): Promise<BundlesView> {
  const own = ownBundle(deps);
  const ours = meshTrustDomains(settings).map(
    (trustDomain): BundleView => ({ trustDomain, source: 'this mesh', ...contentOf(own) }),
  );
  const { items } = await deps.store.list(trustBundle.id);
  const others = (items as readonly TrustBundle[]).map(({ metadata, spec, status }): BundleView => {
    const { trustDomain = '' } = spec;
    const known = trustBundles.all.find((one) => one.trustDomain === trustDomain);
    const isOther = known !== undefined && known.name !== metadata.name;
    const used = isOther ? undefined : known?.bundle;
    return {
      trustDomain,
      source: spec.endpoint?.url ?? `TrustBundle ${metadata.name}`,
      ...contentOf(used),
      fetchedAt: status?.lastFetched,
      error: isOther ? `the TrustBundle ${known.name} is older, and counts` : status?.error,
    };
  });
  return { bundles: [...ours, ...others], endpointSpiffeId: endpointIdentity(settings) };
}

function contentOf(bundle: SpiffeBundle | undefined) {
  const certificates = (bundle?.roots ?? []).map(parseCertificate);
  return {
    roots: certificates.map(({ serial, notAfterAt }) => ({
      serial,
      notAfter: new Date(notAfterAt).toISOString(),
    })),
    keys: (bundle?.jwtAuthorities ?? []).map(({ kid }) => kid),
    sequence: bundle?.sequence,
    fetchedAt: undefined,
    error: undefined,
    document: bundle ? bundleDocument(bundle) : undefined,
  };
}
