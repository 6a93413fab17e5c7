type Fields = Readonly<Record<string, unknown>>;

/** Fields of a proxy's configuration that are merged entry by entry; others are replaced whole. */
const MERGED_MAPS = ['proxyMetadata', 'proxyHeaders'] as const;

/**
 * The configuration of a proxy with another one on top of it, as Istio merges `defaultConfig` of
 * the mesh with what is said of one proxy: what the other one does not name stays.
 */
function mergeProxyConfig(base: Fields, overlay: Fields): Fields {
  return {
    ...base,
    ...overlay,
    ...Object.fromEntries(
      MERGED_MAPS.filter((name) => isFields(base[name]) && isFields(overlay[name])).map((name) => [
        name,
        { ...fields(base[name]), ...withoutAbsent(fields(overlay[name])) },
      ]),
    ),
  };
}

/**
 * The configuration of a mesh with another one on top of it, as Istio merges that of users with its
 * defaults: fields are replaced, but configurations of proxies and default providers are merged,
 * providers take the place of those of their name, and names of the trust domain are put together.
 */
export function mergeMeshConfig(base: Fields, overlay: Fields): Fields {
  const both = (name: string): boolean => present(base[name]) && present(overlay[name]);
  return {
    ...base,
    ...withoutAbsent(overlay),
    ...(both('defaultConfig') && {
      defaultConfig: mergeProxyConfig(fields(base.defaultConfig), fields(overlay.defaultConfig)),
    }),
    ...(both('defaultProviders') && {
      defaultProviders: { ...fields(base.defaultProviders), ...fields(overlay.defaultProviders) },
    }),
    ...(both('extensionProviders') && {
      extensionProviders: byName(list(base.extensionProviders), list(overlay.extensionProviders)),
    }),
    ...((present(base.trustDomainAliases) || present(overlay.trustDomainAliases)) && {
      trustDomainAliases: [
        ...new Set([...list(base.trustDomainAliases), ...list(overlay.trustDomainAliases)]),
      ].sort(),
    }),
  };
}

function byName(base: readonly unknown[], overlay: readonly unknown[]): readonly unknown[] {
  const named = new Map(base.map((one) => [fields(one).name, one]));
  for (const one of overlay) named.set(fields(one).name, one);
  return [...named.values()];
}

/** YAML writes a field without a value as null, and Istio as UNDEFINED: nothing is said of it. */
function present(value: unknown): boolean {
  return value !== undefined && value !== null && value !== 'UNDEFINED';
}

function withoutAbsent(object: Fields): Fields {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => present(value)));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fields(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
