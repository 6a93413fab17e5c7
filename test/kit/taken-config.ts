import { TYPE_URL, type TypeUrl, type XdsResource } from '#xds/resource.ts';
import { versionOfAll } from './delta-session.ts';

interface Named {
  readonly name?: string;
}

/** A resource in one of the parts of a dump; where its name is depends on its type. */
interface Dumped extends Named {
  readonly version_info?: string;
  readonly warming_state?: unknown;
  readonly cluster?: Named;
  readonly ecds_filter?: Named;
  readonly route_config?: Named;
}

/** Parts of envoy.admin.v3.ConfigDump. */
interface Dump {
  readonly configs: readonly {
    readonly '@type': string;
    readonly version_info?: string;
    readonly dynamic_listeners?: readonly Dumped[];
    readonly dynamic_warming_clusters?: readonly Dumped[];
    readonly ecds_filters?: readonly Dumped[];
    readonly dynamic_route_configs?: readonly Dumped[];
    readonly dynamic_active_secrets?: readonly Dumped[];
  }[];
}

/**
 * What an Envoy does not have yet of what was published; endpoints are not told by it.
 * @param text its `/config_dump`
 * @param published by type and name
 */
export function notTaken(
  text: string,
  published: ReadonlyMap<TypeUrl, ReadonlyMap<string, XdsResource>>,
): readonly string[] {
  const { configs } = JSON.parse(text) as Dump;
  const of = (typeUrl: TypeUrl) => published.get(typeUrl) ?? new Map<string, XdsResource>();
  // A listener that was changed where it is still shows the version of before.
  const whole = (kind: string, typeUrl: TypeUrl): readonly string[] => {
    const dump = configs.find((one) => one['@type'].endsWith(`.${kind}ConfigDump`));
    return dump?.version_info === versionOfAll(of(typeUrl)) ? [] : [kind];
  };
  const each = (typeUrl: TypeUrl, found: readonly Dumped[] = []): readonly string[] =>
    found
      .filter((one) => {
        const wanted = of(typeUrl).get(nameOf(one))?.version;
        return wanted !== undefined && wanted !== one.version_info;
      })
      .map(nameOf);
  // A filter that is new is asked for when its listener is there already.
  const known = new Set(configs.flatMap(({ ecds_filters: filters = [] }) => filters.map(nameOf)));
  const unknown = configs
    .flatMap(({ dynamic_listeners: listeners = [] }) => discoveredIn(listeners))
    .filter((name) => !known.has(name) && of(TYPE_URL.extensionConfig).has(name));
  return [
    ...unknown,
    ...whole('Listeners', TYPE_URL.listener),
    ...whole('Clusters', TYPE_URL.cluster),
    ...configs.flatMap((dump) => [
      ...each(TYPE_URL.extensionConfig, dump.ecds_filters),
      ...each(TYPE_URL.route, dump.dynamic_route_configs),
      ...each(TYPE_URL.secret, dump.dynamic_active_secrets),
      ...[
        ...(dump.dynamic_listeners ?? []).filter(({ warming_state }) => warming_state),
        ...(dump.dynamic_warming_clusters ?? []),
      ].map((one) => `${nameOf(one)}, which warms`),
    ]),
  ];
}

/** The names of all filters in a part of a dump whose configurations come by discovery. */
function discoveredIn(part: unknown): readonly string[] {
  if (typeof part !== 'object' || part === null) return [];
  const { name, config_discovery: isDiscovered } = part as Readonly<Record<string, unknown>>;
  const inside = Object.values(part).flatMap(discoveredIn);
  return isDiscovered && typeof name === 'string' ? [name, ...inside] : inside;
}

function nameOf({ name, cluster, ecds_filter, route_config }: Dumped): string {
  return (cluster ?? ecds_filter ?? route_config)?.name ?? name ?? '';
}
