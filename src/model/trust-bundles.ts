import type { TrustBundle } from '#api/kinds/trust-bundle.ts';
import { isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { olderFirst } from '#model/age.ts';
import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { parseBundle, parseBundleText, type SpiffeBundle } from '#spiffe/bundle.ts';
import { parseTrustDomain, type TrustDomain } from '#spiffe/spiffe-id.ts';

/** A trust domain that the mesh is federated with. */
export interface FederatedDomain {
  /** Of the TrustBundle. */
  readonly name: string;
  readonly trustDomain: TrustDomain;
  readonly bundle: SpiffeBundle;
}

/**
 * The trust domains that the mesh is federated with. Immutable. One of the mesh's own is never
 * among them, whatever an object says; of several objects for one domain the oldest counts.
 */
export class TrustBundles {
  /** Sorted by trust domain. */
  readonly all: readonly FederatedDomain[];
  /** Those whose identities can be verified by certificates, sorted. */
  readonly domains: readonly TrustDomain[];

  private constructor(all: readonly FederatedDomain[]) {
    this.all = all;
    this.domains = all
      .filter(({ bundle }) => bundle.roots.length > 0)
      .map(({ trustDomain }) => trustDomain);
  }

  /** The mesh is alone. */
  static none(): TrustBundles {
    return new TrustBundles([]);
  }

  /** What these objects say. */
  static of(objects: Iterable<TrustBundle>, settings: MeshSettings): TrustBundles {
    const byDomain = new Map<TrustDomain, FederatedDomain>();
    const own = meshTrustDomains(settings);
    for (const object of [...objects].sort(olderFirst).slice(0, LIMITS.trustBundlesMax)) {
      const found = readTrustBundle(object);
      if (found && !own.includes(found.trustDomain) && !byDomain.has(found.trustDomain))
        byDomain.set(found.trustDomain, found);
    }
    const all = [...byDomain.values()];
    return new TrustBundles(all.sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1)));
  }
}

/**
 * The bundle of an object that counts now: what was fetched from the endpoint that it names, else
 * what it holds. Undefined when there is none yet, or it cannot be read.
 */
export function readTrustBundle({
  metadata,
  spec,
  status,
}: TrustBundle): FederatedDomain | undefined {
  try {
    const { name } = metadata;
    const trustDomain = parseTrustDomain(spec.trustDomain ?? '');
    const isFetched = spec.endpoint !== undefined && status?.url === spec.endpoint.url;
    if (isFetched && status?.bundle !== undefined)
      return { name, trustDomain, bundle: parseBundle(status.bundle) };
    if (spec.bundle === undefined) return undefined;
    return { name, trustDomain, bundle: parseBundleText(spec.bundle) };
  } catch (error) {
    if (isBulwarkError(error)) return undefined;
    throw error;
  }
}
