import type { Settings } from '#base/settings-table.ts';
import { type MeshSettings, meshSettings } from '#model/mesh-settings.ts';
import type { MeshTlsLimits } from '#model/tls-limits.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';

/**
 * The settings of a mesh as a process is started with them, before its mesh configuration is read.
 * @throws BulwarkError SPIFFE_INVALID when a trust domain is none
 */
export function startedSettings(settings: Settings): MeshSettings {
  const { clusterDomain, rootNamespace, autoMtls, outboundTraffic } = settings;
  const { hardening, accessLog, requireTokenExpiration } = settings;
  return meshSettings(parseTrustDomain(settings.trustDomain), {
    trustDomainAliases: settings.trustDomainAliases.map(parseTrustDomain),
    clusterDomain,
    rootNamespace,
    autoMtls,
    outboundTraffic,
    hardening,
    accessLog,
    audit: { records: settings.auditRecords, trafficPercent: settings.auditTraffic },
    denialHeader: settings.denialHeader,
    policyMetrics: settings.policyMetrics,
    largePolicyRules: settings.largePolicyRules,
    openStreams: settings.openStreams,
    requireTokenExpiration,
    tls: tlsLimits(settings),
  });
}

/** The choices are checked with the settings. */
function tlsLimits(settings: Settings): MeshTlsLimits {
  return {
    mesh: {
      minVersion: settings.meshTlsMinVersion,
      cipherSuites: settings.meshTlsCipherSuites,
      curves: settings.meshTlsCurves,
    },
    outside: {
      minVersion: 'TLSV1_2',
      cipherSuites: settings.outsideTlsCipherSuites,
      curves: settings.outsideTlsCurves,
    },
  };
}
