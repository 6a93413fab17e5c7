import type { Settings } from '#base/settings-table.ts';
import { MeshModel } from '#model/mesh-model.ts';
import { type MeshSettings, meshSettings } from '#model/mesh-settings.ts';
import type { MeshTlsLimits } from '#model/tls-limits.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { type Findings, findingsOf } from '#policy/findings.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { ConfigGenerator } from '#xds/generate/config-generator.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { XdsSnapshot } from '#xds/resource.ts';

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

/** The pure middle: objects go in, configuration of proxies comes out. */
export class Mesh {
  readonly settings: MeshSettings;
  readonly model: MeshModel;
  readonly #authorizer: Authorizer;
  readonly #generator: ConfigGenerator;

  /** @throws BulwarkError SPIFFE_INVALID when the trust domain is none */
  constructor(settings: Settings) {
    const { clusterDomain, rootNamespace, autoMtls, outboundTraffic } = settings;
    const { hardening, accessLog } = settings;
    const domain = parseTrustDomain(settings.trustDomain);
    const trustDomainAliases = settings.trustDomainAliases.map(parseTrustDomain);
    this.settings = meshSettings(domain, {
      trustDomainAliases,
      clusterDomain,
      rootNamespace,
      autoMtls,
      outboundTraffic,
      hardening,
      accessLog,
      tls: tlsLimits(settings),
    });
    this.model = new MeshModel(this.settings);
    this.#authorizer = new Authorizer({
      trustDomain: domain,
      trustDomainAliases,
      rootNamespace,
      hardening: this.settings.hardening,
    });
    this.#generator = new ConfigGenerator(this.settings, { authorizer: this.#authorizer });
  }

  /**
   * What a proxy may have now. @throws BulwarkError XDS_RESOURCE_INVALID; the proxy then keeps what
   * it has
   */
  snapshotFor(proxy: ProxyNode): XdsSnapshot {
    return this.#generator.snapshotFor(proxy, this.model.snapshot());
  }
  /** What users should know about their policies, as the mesh is now. */
  findings(): Findings {
    return findingsOf(this.model.snapshot(), this.#authorizer);
  }
}
