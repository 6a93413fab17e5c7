import type { ProxyConfig } from '#api/mesh-config.ts';
import type { GatewayTopology, MeshSettings } from '#model/mesh-settings.ts';
import type { Workload } from '#model/workload.ts';

/** What the configuration of a proxy says of what stands before gateways; undefined = nothing. */
export function writtenTopology({ gatewayTopology }: ProxyConfig): GatewayTopology | undefined {
  return (
    gatewayTopology && {
      trustedProxies: gatewayTopology.numTrustedProxies ?? 0,
      proxyProtocol: gatewayTopology.proxyProtocol !== undefined,
    }
  );
}

/** What stands before a gateway: as is said of itself, else as of all gateways of the mesh. */
export function topologyAt(
  { gatewayTopology }: Pick<Workload, 'gatewayTopology'>,
  settings: Pick<MeshSettings, 'gatewayTopology'>,
): GatewayTopology {
  return gatewayTopology ?? settings.gatewayTopology;
}
