import type { ExtensionProvider } from '#model/extension-provider.ts';
import { DEFAULT_TLS_LIMITS, type MeshTlsLimits } from '#model/tls-limits.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

/**
 * `strict` closes the gaps that Istio is known to have; `istio` keeps its exact behaviour, for who
 * migrates.
 */
export type HardeningProfile = 'strict' | 'istio';

/** What proxies stream to the control plane of the calls to their workloads. */
export interface AuditSettings {
  readonly records: 'off' | 'denied' | 'denied-and-audited';
  /** Of all calls so many of a hundred; 0 = none. */
  readonly trafficPercent: number;
}

/** What stands before the gateways of the mesh, as Istio's MeshConfig says it. */
export interface GatewayTopology {
  /** So many addresses at the end of X-Forwarded-For are believed. */
  readonly trustedProxies: number;
  /** Whether connections begin with the caller's address (PROXY protocol). */
  readonly proxyProtocol: boolean;
}

/** What is made of the path of a request before policy sees it, as Istio's MeshConfig says it. */
export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

/** The normalization of each profile, where the mesh says nothing else. */
export const PROFILE_PATHS: Readonly<Record<HardeningProfile, PathNormalization>> = {
  istio: 'BASE',
  strict: 'DECODE_AND_MERGE_SLASHES',
};

/**
 * Settings of the whole mesh that the configuration of proxies depends on. Names (of trust domains,
 * the cluster domain, the root namespace) are fixed for the life of a model.
 */
export interface MeshSettings {
  readonly trustDomain: TrustDomain;
  /** Other names of the trust domain: identities of these count as those of `trustDomain`. */
  readonly trustDomainAliases: readonly TrustDomain[];
  /** The DNS domain of services: <service>.<namespace>.svc.<clusterDomain>. */
  readonly clusterDomain: string;
  /** The namespace whose policies count for the whole mesh. */
  readonly rootNamespace: string;
  /** Whether proxies use mutual TLS to every endpoint that can, with nothing configured. */
  readonly autoMtls: boolean;
  /** What becomes of calls to hosts that the mesh does not know, where traffic is redirected. */
  readonly outboundTraffic: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly hardening: HardeningProfile;
  readonly pathNormalization: PathNormalization;
  /** Which requests a proxy writes a line about: those denied or failed, or every one. */
  readonly accessLog: 'failures' | 'all';
  readonly audit: AuditSettings;
  /** Whether callers whose request is denied are told by which rule. */
  readonly denialHeader: boolean;
  /** Whether proxies count requests by rule. */
  readonly policyMetrics: boolean;
  /** From so many rules of one action on, a proxy tries only those that may match the caller. */
  readonly largePolicyRules: number;
  /** What becomes of HTTP streams that are open when policy of their workload changes. */
  readonly openStreams: 'keep' | 'end';
  /** Whether tokens of end users without `exp` are refused, whatever their rule says. */
  readonly requireTokenExpiration: boolean;
  readonly tls: MeshTlsLimits;
  readonly gatewayTopology: GatewayTopology;
  /** What policies of action CUSTOM can ask. */
  readonly extensionProviders: readonly ExtensionProvider[];
}

/** The settings of a new installation, for a trust domain. */
export function meshSettings(
  trustDomain: TrustDomain,
  changes: Partial<MeshSettings> = {},
): MeshSettings {
  return {
    trustDomain,
    trustDomainAliases: [],
    clusterDomain: 'cluster.local',
    rootNamespace: 'istio-system',
    autoMtls: true,
    outboundTraffic: 'ALLOW_ANY',
    hardening: 'strict',
    pathNormalization: PROFILE_PATHS[changes.hardening ?? 'strict'],
    accessLog: 'failures',
    audit: { records: 'off', trafficPercent: 0 },
    denialHeader: false,
    policyMetrics: true,
    largePolicyRules: 32,
    openStreams: 'keep',
    requireTokenExpiration: false,
    tls: DEFAULT_TLS_LIMITS,
    gatewayTopology: { trustedProxies: 0, proxyProtocol: false },
    extensionProviders: [],
    ...changes,
  };
}

/** The trust domain, then its other names. */
export function meshTrustDomains({
  trustDomain,
  trustDomainAliases,
}: Pick<MeshSettings, 'trustDomain' | 'trustDomainAliases'>): readonly TrustDomain[] {
  return [...new Set([trustDomain, ...trustDomainAliases])];
}
