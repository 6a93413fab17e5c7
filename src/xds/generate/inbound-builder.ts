import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import { labelsOfProxy, workloadOfProxy } from '#model/registration.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance, type Workload } from '#model/workload.ts';
import { tokensOfPort, type WorkloadTokens } from '#policy/authn/jwt.ts';
import { type InboundMode, type InboundMtls, modeOfPort } from '#policy/authn/mtls-mode.ts';
import type { TrafficRules, WorkloadAuthorization } from '#policy/authz/selection.ts';
import { HARDENING } from '#policy/hardening.ts';
import { asksAgent } from '#xds/generate/authz/agent-question.ts';
import { ruleDenials } from '#xds/generate/authz/denials.ts';
import { httpMarker } from '#xds/generate/authz/extension-configs.ts';
import { type PortsOfPolicy, tcpPolicyAt } from '#xds/generate/authz/tcp-policy.ts';
import { BuildCache } from '#xds/generate/build-cache.ts';
import { buildInboundCluster, INBOUND_PASSTHROUGH } from '#xds/generate/fixed-clusters.ts';
import { GateBuilder, gatedToEnd, mayCarryTcp } from '#xds/generate/gate-builder.ts';
import type { InboundContext, InboundPort, TcpHandling } from '#xds/generate/inbound-chains.ts';
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
  /** Ports of the workload that have a filter chain of their own. */
  readonly ports: readonly number[];
}

/** What policies say about the requests to a workload. */
export interface InboundPolicy {
  readonly authorization: WorkloadAuthorization;
  readonly tokens: WorkloadTokens;
}

type NumberedPort = InboundPort & { readonly port: number };

/** What holds for each port. */
interface PortPolicies {
  readonly mtls: InboundMtls;
  readonly tokens: WorkloadTokens;
  readonly rules: TrafficRules;
  readonly tcpAt: (ports: PortsOfPolicy) => TcpHandling;
}

/**
 * The workload of a proxy as services and policies see it; ports as the proxy itself says in
 * explicit mode.
 */
export function servedWorkload(proxy: ProxyNode, mesh: MeshSnapshot): Workload {
  const { trustDomain } = mesh.settings;
  const { explicit } = proxy;
  const named = (of: 'port' | 'listen'): Readonly<Record<string, number>> =>
    Object.fromEntries((explicit?.inbound ?? []).map((port) => [port.name, port[of]]));
  const known = workloadOfProxy(proxy, mesh);
  const instance = readInstance({
    name: proxy.workloadName,
    namespace: proxy.namespace,
    trustDomain,
    applicationPorts: named('port'),
    spec: {
      address: explicit?.inboundAddress ?? proxy.addresses[0] ?? '',
      labels: labelsOfProxy(proxy, mesh),
      serviceAccount: proxy.serviceAccount,
      ports: explicit ? named('listen') : (known?.ports ?? {}),
    },
  });
  const { gatewayTopology } = known ?? {};
  return { ...instance, ...(gatewayTopology && { gatewayTopology }) };
}

/**
 * Builds what the calls to workloads need. Workloads with the same ports and policies share what is
 * built.
 */
export class InboundBuilder {
  readonly #settings: MeshSettings;
  readonly #modes: MtlsModes;
  readonly #clusters = new BuildCache(buildInboundCluster);
  readonly #gates = new GateBuilder();
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
    { authorization, tokens }: InboundPolicy,
    mesh: MeshSnapshot,
  ): InboundTraffic {
    const mtls = this.#modes.of(workload, this.#modes.policiesOf(mesh));
    const ports = workloadPorts({ proxy, workload }, mesh);
    const { explicit } = proxy;
    const context = this.contextOf(authorization, proxy, mesh);
    const tcpAt = (at: PortsOfPolicy): TcpHandling => this.tcpHandling(authorization, at, mesh);
    const said = { mtls, tokens, rules: authorization.tcp, tcpAt };
    return explicit
      ? this.#buildExplicit({ ...proxy, explicit }, ports, said, context)
      : this.#buildRedirected(proxy, ports, said, context);
  }

  /** What the chains of a workload, or of a gateway, have in common. */
  contextOf(
    authorization: WorkloadAuthorization,
    proxy: Pick<ProxyNode, 'explicit' | 'agentSocket'>,
    { revocations, trustBundles }: MeshSnapshot,
  ): InboundContext {
    const { hardening, pathNormalization, accessLog, audit, denialHeader } = this.#settings;
    const httpPolicy = httpMarker(authorization, {
      listenPorts: proxy.explicit?.inbound,
      hardening,
      countsRules: this.#settings.policyMetrics,
      trustDomains: meshTrustDomains(this.#settings),
      largeFrom: this.#settings.largePolicyRules,
    });
    return {
      trustDomains: {
        own: meshTrustDomains(this.#settings),
        federated: trustBundles.domains,
      },
      hardening,
      pathNormalization,
      accessLog,
      audit,
      denials: ruleDenials(authorization),
      denialHeader,
      asksAgent: asksAgent(proxy, authorization),
      tls: this.#settings.tls.mesh,
      httpPolicy:
        this.#settings.openStreams === 'end' ? `${httpPolicy}${revoked(revocations)}` : '',
    };
  }

  /** How the connections to a port that are not HTTP are taken. */
  tcpHandling(
    { tcp }: WorkloadAuthorization,
    ports: PortsOfPolicy,
    { revocations }: MeshSnapshot,
  ): TcpHandling {
    const { hardening } = this.#settings;
    const { marker, isJudged } = tcpPolicyAt(tcp, ports, hardening);
    return {
      tcpPolicy: `${marker}${revoked(revocations)}`,
      tcpWaitsForCaller: isJudged && HARDENING[hardening].tcpWaitsForCaller,
    };
  }

  #buildExplicit(
    { explicit, holdSocket }: ProxyNode & { readonly explicit: ExplicitPorts },
    ports: readonly WorkloadPort[],
    said: PortPolicies,
    context: InboundContext,
  ): InboundTraffic {
    const served = ports.map((port) => {
      const listen = explicit.inbound.find((said) => said.port === port.port)?.listen ?? 0;
      return { listen, port: numberedPort(port, said) };
    });
    const address = explicit.inboundAddress;
    const numbered = served.map(({ port }) => port);
    const held = numbered.filter((port) => holdSocket !== undefined && mayCarryTcp(port));
    const gates = this.#gates.build(numbered, said.rules, context);
    return {
      clusters: [
        ...ports.map(({ port, protocol }) =>
          this.#clusters.get({
            port,
            http2: PROTOCOLS[protocol].http2,
            interception: 'explicit',
            ...(held.some((one) => one.port === port) && { holdSocket }),
          }),
        ),
        ...held.map((port) => this.#gates.policyOf(port, holdSocket ?? '')),
        ...gates.clusters,
      ],
      listeners: [
        ...gates.listeners,
        ...served.map(({ listen, port }) => this.#explicit.get({ address, listen, port, context })),
      ],
      ports: ports.map(({ port }) => port),
    };
  }

  #buildRedirected(
    { holdSocket }: ProxyNode,
    declared: readonly WorkloadPort[],
    said: PortPolicies,
    context: InboundContext,
  ): InboundTraffic {
    const ports = declared.filter(({ port }) => port !== REDIRECT_PORTS.inbound);
    const known = new Set(ports.map(({ port }) => port));
    const passthrough = { protocol: 'auto', cluster: CLUSTER_NAMES.inboundPassthrough } as const;
    // A policy may name ports that no service does.
    const named = new Map(
      [...said.tokens.ports.keys(), ...said.mtls.ports.keys()].map(
        (port) => [port, modeOfPort(said.mtls, port)] as const,
      ),
    );
    const undeclared = [...named]
      .filter(([port]) => !known.has(port) && port !== REDIRECT_PORTS.inbound)
      .map(
        ([port, mode]): NumberedPort => ({
          port,
          ...inMode(mode, passthrough),
          principal: tokensOfPort(said.tokens, port).binding,
          ...said.tcpAt(port),
        }),
      );
    const numbered = [...ports.map((port) => numberedPort(port, said)), ...undeclared]
      .sort((a, b) => a.port - b.port)
      .map((port) => gatedToEnd(port, holdSocket));
    const other: InboundPort = {
      port: undefined,
      ...inMode(said.mtls.mode, passthrough),
      principal: said.tokens.common.binding,
      ...said.tcpAt({ beside: numbered.map(({ port }) => port) }),
    };
    const others = gatedToEnd(other, holdSocket);
    const gates = this.#gates.build([...numbered, others], said.rules, context, holdSocket);
    return {
      clusters: [
        INBOUND_PASSTHROUGH,
        ...ports.map(({ port, protocol }) => {
          const { http2 } = PROTOCOLS[protocol];
          return this.#clusters.get({ port, http2, interception: 'redirect' });
        }),
        ...gates.clusters,
      ],
      listeners: [
        ...gates.listeners,
        this.#virtual.get({ ports: numbered, other: others, context }),
      ],
      ports: numbered.map(({ port }) => port),
    };
  }
}

/** A new revocation must end open connections, too. */
function revoked({ marker }: MeshSnapshot['revocations']): string {
  return marker === '' ? '' : `/${marker}`;
}

function numberedPort({ port, protocol }: WorkloadPort, said: PortPolicies): NumberedPort {
  const how = { protocol, cluster: inboundClusterName(port) };
  const principal = tokensOfPort(said.tokens, port).binding;
  const tcp = said.tcpAt(port);
  const inbound = { port, ...inMode(modeOfPort(said.mtls, port), how), principal, ...tcp };
  const isGated = tcp.tcpWaitsForCaller && PROTOCOLS[inbound.protocol].serverFirst;
  return isGated ? { ...inbound, gate: 'judging' } : inbound;
}

/** A port that no caller may reach takes connections of any kind and closes them. */
function inMode(
  mode: InboundMode,
  said: Pick<InboundPort, 'protocol' | 'cluster'>,
): Pick<InboundPort, 'mode' | 'protocol' | 'cluster'> {
  if (mode !== 'REFUSE') return { mode, ...said };
  return { mode: 'DISABLE', protocol: 'tcp', cluster: CLUSTER_NAMES.blackHole };
}
