import type { RbacConfig, RbacConfigSpec } from '#api/kinds/rbac-config.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';

/** The objects that turn roles on. */
export interface RbacConfigs {
  readonly clusterRbacConfigs: NamespacedObjects<RbacConfig>;
  readonly rbacConfigs: NamespacedObjects<RbacConfig>;
}

/** A service as the configuration names it. */
export interface NamedService {
  /** Its full name; '' for a workload that no service leads to. */
  readonly host: string;
  readonly namespace: string;
}

/** The configuration that counts, where it is not off. */
export interface RbacMode {
  readonly config: RbacConfig;
  /** Nobody is refused; who would be is recorded. */
  readonly isPermissive: boolean;
  /** Whether callers of the service need a role. */
  isOnFor(service: NamedService): boolean;
}

/**
 * The one configuration of the mesh: ClusterRbacConfig, else the RbacConfig of the root namespace,
 * else the oldest. Undefined when there is none or it says OFF.
 */
export function rbacModeOf(configs: RbacConfigs, rootNamespace: string): RbacMode | undefined {
  const { clusterRbacConfigs, rbacConfigs } = configs;
  const isDefault = ({ metadata }: RbacConfig) => metadata.name === 'default';
  const config =
    clusterRbacConfigs.in('').find(isDefault) ??
    rbacConfigs.in(rootNamespace).find(isDefault) ??
    rbacConfigs.all().find(isDefault);
  const spec = config?.spec ?? {};
  if (config === undefined || (spec.mode ?? 'OFF') === 'OFF') return undefined;
  return {
    config,
    isPermissive: spec.enforcementMode === 'PERMISSIVE',
    isOnFor: (service) => isOn(spec, service),
  };
}

function isOn({ mode, inclusion, exclusion }: RbacConfigSpec, service: NamedService): boolean {
  if (mode === 'ON_WITH_INCLUSION') return names(inclusion, service);
  return mode === 'ON' || !names(exclusion, service);
}

function names(places: RbacConfigSpec['inclusion'], { host, namespace }: NamedService): boolean {
  const { services = [], namespaces = [] } = places ?? {};
  return namespaces.includes(namespace) || services.includes(host);
}
