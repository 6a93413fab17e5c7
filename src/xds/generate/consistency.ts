import { BulwarkError } from '#base/errors.ts';
import { IdentityCache } from '#xds/generate/build-cache.ts';
import { type Reference, referencesOf } from '#xds/generate/references.ts';
import type { ResourceMap } from '#xds/generate/resource-map.ts';
import { TYPE_URL, type TypeUrl, type XdsSnapshot } from '#xds/resource.ts';

const EMPTY: ResourceMap = new Map();

/** The first resource that is referred to and not there. */
interface Missing extends Reference {
  /** Who refers to it. */
  readonly by: string;
}

/**
 * Checks sets of resources before they are published: every name that one refers to must be there.
 * Maps that were checked together once are not looked at again.
 */
export class ConsistencyCheck {
  readonly #missing = new IdentityCache(
    (
      listeners: ResourceMap,
      routes: ResourceMap,
      clusters: ResourceMap,
      endpoints: ResourceMap,
      configs: ResourceMap,
    ) =>
      findMissing(
        new Map<TypeUrl, ResourceMap>([
          [TYPE_URL.listener, listeners],
          [TYPE_URL.route, routes],
          [TYPE_URL.cluster, clusters],
          [TYPE_URL.endpoints, endpoints],
          [TYPE_URL.extensionConfig, configs],
        ]),
      ),
  );

  /**
   * Passes when the set is complete.
   * @throws BulwarkError XDS_RESOURCE_INVALID that names what is missing and who refers to it
   */
  check(snapshot: XdsSnapshot): void {
    const of = (typeUrl: TypeUrl): ResourceMap => snapshot.get(typeUrl) ?? EMPTY;
    const missing = this.#missing.get(
      of(TYPE_URL.listener),
      of(TYPE_URL.route),
      of(TYPE_URL.cluster),
      of(TYPE_URL.endpoints),
      of(TYPE_URL.extensionConfig),
    );
    if (!missing) return;
    const { typeUrl, name, by } = missing;
    throw new BulwarkError(
      'XDS_RESOURCE_INVALID',
      `${by} refers to ${JSON.stringify(name)}, which is not there.`,
      { data: { typeUrl, name, by } },
    );
  }
}

function findMissing(resources: XdsSnapshot): Missing | undefined {
  for (const map of resources.values()) {
    for (const resource of map.values()) {
      const missing = referencesOf(resource).find(
        ({ typeUrl, name }) => !resources.get(typeUrl)?.has(name),
      );
      if (missing) return { ...missing, by: resource.name };
    }
  }
  return undefined;
}
