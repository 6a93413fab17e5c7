import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import type { XdsResource } from '#xds/resource.ts';

/** What the form of a proxy's authorization depends on beside the policies. */
export interface AuthzConfigOptions {
  /**
   * In explicit mode, the port on which the proxy takes calls for each port of the workload (ProxyNode.explicit):
   * policies name the workload's ports, Envoy sees its own. Undefined where both are the same.
   */
  readonly listenPorts?: readonly { readonly port: number; readonly listen: number }[] | undefined;
}

/**
 * The configurations that the filters of `httpAuthzFilters` and `networkAuthzFilters` ask for: always all of them,
 * since a missing one answers 500. The same arguments in meaning give the same objects.
 */
export type AuthzExtensionConfigs = (
  authorization: WorkloadAuthorization,
  options: AuthzConfigOptions,
) => readonly XdsResource[];

/** Changes when, and only when, the policy of plain connections does. For the metadata of TCP filter chains. */
export type TcpAuthzMarker = (
  authorization: WorkloadAuthorization,
  options: AuthzConfigOptions,
) => string;
