import type { MeshConfig } from '#api/mesh-config.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';

/** The settings that the mesh configuration says, of those that may change while the mesh runs. */
export function configuredSettings({
  enableAutoMtls,
  outboundTrafficPolicy,
  pathNormalization,
}: MeshConfig): Partial<Pick<MeshSettings, 'autoMtls' | 'outboundTraffic' | 'pathNormalization'>> {
  const { mode } = outboundTrafficPolicy ?? {};
  const { normalization = 'DEFAULT' } = pathNormalization ?? {};
  return {
    ...(typeof enableAutoMtls === 'boolean' && { autoMtls: enableAutoMtls }),
    ...(mode && { outboundTraffic: mode }),
    ...(normalization !== 'DEFAULT' && { pathNormalization: normalization }),
  };
}
