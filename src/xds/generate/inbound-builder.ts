import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import { labelsOfProxy, workloadOfProxy } from '#model/registration.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance, type Workload } from '#model/workload.ts';
import { type InboundMode, type InboundMtls, modeOfPort } from '#policy/authn/mtls-mode.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { HARDENING } from '#policy/hardening.ts';
import { tcpAuthzMarker } from '#xds/generate/authz/extension-configs.ts';
import { BuildCache } from '#xds/generate/build-cache.ts';
import { buildInboundCluster, INBOUND_PASSTHROUGH } from '#xds/generate/fixed-clusters.ts';
import type { InboundContext, InboundPort } from '#xds/generate/inbound-chains.ts';
import { buildExplicitInbound, buildVirtualInbound } from '#xds/generate/inbound-listener.ts';
import { type WorkloadPort, workloadPorts } from '#xds/generate/inbound-ports.ts';
import type { MtlsModes } from '#xds/generate/mtls-modes.ts';
import { CLUSTER_NAMES, inboundClusterName, REDIRECT_PORTS } from '#xds/generate/naming.ts';
import type { ExplicitPorts, ProxyNode } from '#xds/proxy-node.ts';
import type { XdsResource } from '#xds/resource.ts';

/** Clusters and listeners for calls to a workload. */
export interface InboundTraffic {
  readonly clusters: readonly XdsResource[];
  readonly listeners: readonly XdsResource[];
}

type NumberedPort = InboundPort & { readonly port: number };

/**
 * The workload of a proxy as services and policies see it; ports as the proxy itself says in
 * explicit mode.
 */
export function servedWorkload(proxy: ProxyNode, mesh: MeshSnapshot): Workload {
  const { trustDomain } = mesh.settings;
  const { explicit } = proxy;
  const named = (of: 'port' | 'listen'): Readonly<Record<string, number>> =>
    Object.fromEntries((explicit?.inbound ?? []).map((port) => [port.name, port[of]]));
  return readInstance({
    name: proxy.workloadName,
    namespace: proxy.namespace,
    trustDomain,
    applicationPorts: named('port'),
    spec: {
      address: explicit?.inboundAddress ?? proxy.addresses[0] ?? '',
      labels: labelsOfProxy(proxy, mesh),
      serviceAccount: proxy.serviceAccount,
      ports: explicit ? named('listen') : (workloadOfProxy(proxy, mesh)?.ports ?? {}),
    },
  });
}

/**
 * Builds what the calls to workloads need. Workloads with the same ports and policies share what is
 * built.
 */
export class InboundBuilder {
  readonly #settings: MeshSettings;
  readonly #modes: MtlsModes;
  readonly #clusters = new BuildCache(buildInboundCluster);
  readonly #explicit = new BuildCache(buildExplicitInbound);
  readonly #virtual = new BuildCache(buildVirtualInbound);

  constructor(settings: MeshSettings, modes: MtlsModes) {
    this.#settings = settings;
    this.#modes = modes;
  }

  /** What `proxy` needs to take the calls to `workload`, its own. */
  build(
    proxy: ProxyNode,
    workload: Workload,
    authorization: WorkloadAuthorization,
    mesh: MeshSnapshot,
  ): InboundTraffic {
    const mtls = this.#modes.of(workload, this.#modes.policiesOf(mesh));
    const ports = workloadPorts({ proxy, workload }, mesh);
    const { explicit } = proxy;
    const context = this.#context(authorization, explicit, mesh);
    return explicit
      ? this.#buildExplicit(explicit, ports, mtls, context)
      : this.#buildRedirected(ports, mtls, context);
  }

  #context(
    authorization: WorkloadAuthorization,
    explicit: ExplicitPorts | undefined,
    { revocations, trustBundles }: MeshSnapshot,
  ): InboundContext {
    const { hardening, pathNormalization, accessLog } = this.#settings;
    const { deny, allow } = authorization.tcp;
    const policy = tcpAuthzMarker(authorization, { listenPorts: explicit?.inbound });
    const judged = deny.enforced !== undefined || allow.enforced !== undefined;
    return {
      trustDomains: {
        own: meshTrustDomains(this.#settings),
        federated: trustBundles.domains,
      },
      hardening,
      pathNormalization,
      accessLog,
      tls: this.#settings.tls.mesh,
      // A new revocation must end open connections, too.
      tcpPolicy: `${policy}${revocations.marker === '' ? '' : `/${revocations.marker}`}`,
      tcpWaitsForCaller: judged && HARDENING[hardening].tcpWaitsForCaller,
    };
  }

  #buildExplicit(
    explicit: ExplicitPorts,
    ports: readonly WorkloadPort[],
    mtls: InboundMtls,
    context: InboundContext,
  ): InboundTraffic {
    const served = ports.map((port) => {
      const listen = explicit.inbound.find((said) => said.port === port.port)?.listen ?? 0;
      return { listen, port: numberedPort(port, mtls) };
    });
    const address = explicit.inboundAddress;
    return {
      clusters: ports.map((port) => this.#cluster(port, 'explicit')),
      listeners: served.map(({ listen, port }) =>
        this.#explicit.get({ address, listen, port, context }),
      ),
    };
  }

  #buildRedirected(
    declared: readonly WorkloadPort[],
    mtls: InboundMtls,
    context: InboundContext,
  ): InboundTraffic {
    const ports = declared.filter(({ port }) => port !== REDIRECT_PORTS.inbound);
    const known = new Set(ports.map(({ port }) => port));
    const passthrough = { protocol: 'auto', cluster: CLUSTER_NAMES.inboundPassthrough } as const;
    // A policy may name ports that no service does.
    const undeclared = [...mtls.ports]
      .filter(([port]) => !known.has(port) && port !== REDIRECT_PORTS.inbound)
      .map(([port, mode]): NumberedPort => ({ port, ...inMode(mode, passthrough) }));
    const numbered = [...ports.map((port) => numberedPort(port, mtls)), ...undeclared];
    const listener = this.#virtual.get({
      ports: numbered.sort((a, b) => a.port - b.port),
      other: { port: undefined, ...inMode(mtls.mode, passthrough) },
      context,
    });
    return {
      clusters: [INBOUND_PASSTHROUGH, ...ports.map((port) => this.#cluster(port, 'redirect'))],
      listeners: [listener],
    };
  }

  #cluster({ port, protocol }: WorkloadPort, interception: ProxyNode['interception']): XdsResource {
    return this.#clusters.get({ port, http2: PROTOCOLS[protocol].http2, interception });
  }
}

function numberedPort({ port, protocol }: WorkloadPort, mtls: InboundMtls): NumberedPort {
  const said = { protocol, cluster: inboundClusterName(port) };
  return { port, ...inMode(modeOfPort(mtls, port), said) };
}

/** A port that no caller may reach takes connections of any kind and closes them. */
function inMode(
  mode: InboundMode,
  said: Pick<InboundPort, 'protocol' | 'cluster'>,
): Omit<InboundPort, 'port'> {
  if (mode !== 'REFUSE') return { mode, ...said };
  return { mode: 'DISABLE', protocol: 'tcp', cluster: CLUSTER_NAMES.blackHole };
}
