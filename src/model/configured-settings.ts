import type { MeshConfig } from '#api/mesh-config.ts';
import { extensionProviders } from '#model/extension-provider.ts';
import { writtenTopology } from '#model/gateway-topology.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { MeshTlsLimits, TlsLimits } from '#model/tls-limits.ts';

/** Settings that may change while the mesh runs. */
type Configured = Pick<
  MeshSettings,
  | 'autoMtls'
  | 'outboundTraffic'
  | 'pathNormalization'
  | 'tls'
  | 'gatewayTopology'
  | 'extensionProviders'
>;

/**
 * The settings that the mesh configuration says, of those that may change while the mesh runs; in
 * place of those that it was started with.
 */
export function configuredSettings(
  { enableAutoMtls, outboundTrafficPolicy, pathNormalization, ...config }: MeshConfig,
  started: Pick<MeshSettings, 'tls'>,
): Partial<Configured> {
  const { mode } = outboundTrafficPolicy ?? {};
  const { normalization = 'DEFAULT' } = pathNormalization ?? {};
  const gatewayTopology = writtenTopology(config.defaultConfig ?? {});
  return {
    ...(typeof enableAutoMtls === 'boolean' && { autoMtls: enableAutoMtls }),
    ...(mode && { outboundTraffic: mode }),
    ...(normalization !== 'DEFAULT' && { pathNormalization: normalization }),
    tls: configuredTls(config, started.tls),
    ...(gatewayTopology && { gatewayTopology }),
    extensionProviders: extensionProviders(config.extensionProviders ?? []),
  };
}

function configuredTls(
  { meshMTLS = {}, tlsDefaults = {} }: Pick<MeshConfig, 'meshMTLS' | 'tlsDefaults'>,
  started: MeshTlsLimits,
): MeshTlsLimits {
  const { minProtocolVersion: version = 'TLS_AUTO' } = meshMTLS;
  return {
    mesh: {
      ...withNames(meshMTLS, started.mesh),
      ...(version !== 'TLS_AUTO' && { minVersion: version }),
    },
    outside: withNames(tlsDefaults, started.outside),
  };
}

function withNames(
  written: { readonly cipherSuites?: readonly string[]; readonly ecdhCurves?: readonly string[] },
  started: TlsLimits,
): TlsLimits {
  const { cipherSuites = [], ecdhCurves = [] } = written;
  return {
    ...started,
    ...(cipherSuites.length > 0 && { cipherSuites }),
    ...(ecdhCurves.length > 0 && { curves: ecdhCurves }),
  };
}
