import { BulwarkError } from '#base/errors.ts';
import { IdentityCache } from '#xds/generate/build-cache.ts';
import type { XdsResource } from '#xds/resource.ts';

/** Resources of one type by name. Immutable, and shared by proxies that get the same. */
export type ResourceMap = ReadonlyMap<string, XdsResource>;

/**
 * A map of resources, in the order given.
 * @throws BulwarkError XDS_RESOURCE_INVALID when two have one name, as when a proxy asks for one
 * port twice
 */
export function resourceMap(resources: readonly XdsResource[]): ResourceMap {
  const map = new Map(resources.map((resource) => [resource.name, resource]));
  if (map.size === resources.length) return map;
  const name = duplicate(resources);
  throw new BulwarkError('XDS_RESOURCE_INVALID', `Two resources are called ${name}.`, {
    data: { name },
  });
}

/** Maps of few resources: the same resources in the same order give the same map. */
export class SmallMaps {
  readonly #maps = new IdentityCache((...resources: readonly XdsResource[]) =>
    resourceMap(resources),
  );
  readonly #extended = new IdentityCache<readonly [ResourceMap, ...XdsResource[]], ResourceMap>(
    (shared, ...own) => resourceMap([...shared.values(), ...own]),
  );

  /** A map of these resources. */
  of(resources: readonly XdsResource[]): ResourceMap {
    return this.#maps.get(...resources);
  }

  /** A large map that many share, and a few resources more. */
  extend(shared: ResourceMap, own: readonly XdsResource[]): ResourceMap {
    return own.length === 0 ? shared : this.#extended.get(shared, ...own);
  }
}

/**
 * Gives the map that was there before when the new one has the same resources, so that whoever
 * compares maps by identity sees no change where there is none.
 */
export class SharedMaps {
  readonly #last = new Map<string, WeakRef<ResourceMap>>();
  /** Places are told apart by names that users choose: those that nobody is at go. */
  readonly #forget = new FinalizationRegistry<string>((place) => {
    if (this.#last.get(place)?.deref() === undefined) this.#last.delete(place);
  });

  /** `place` tells maps apart that are not to be compared. */
  share(place: string, map: ResourceMap): ResourceMap {
    const last = this.#last.get(place)?.deref();
    if (last && sameResources(last, map)) return last;
    this.#last.set(place, new WeakRef(map));
    this.#forget.register(map, place);
    return map;
  }
}

function sameResources(a: ResourceMap, b: ResourceMap): boolean {
  if (a.size !== b.size) return false;
  for (const [name, resource] of a) {
    if (b.get(name) !== resource) return false;
  }
  return true;
}

function duplicate(resources: readonly XdsResource[]): string | undefined {
  const seen = new Set<string>();
  return resources.find(({ name }) => seen.size === seen.add(name).size)?.name;
}
