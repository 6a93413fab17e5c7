import { PROTOCOLS } from '#model/protocol.ts';
import { peerVerdict } from '#policy/authz/peer-verdict.ts';
import type { TrafficRules } from '#policy/authz/selection.ts';
import { BuildCache } from '#xds/generate/build-cache.ts';
import { buildHeldPolicy } from '#xds/generate/held-port.ts';
import type { InboundContext, InboundPort } from '#xds/generate/inbound-chains.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { buildGate, buildGateCluster } from '#xds/generate/tcp-gate.ts';
import type { XdsResource } from '#xds/resource.ts';

/** What connections pass inside of a proxy. */
interface Gates {
  readonly clusters: readonly XdsResource[];
  readonly listeners: readonly XdsResource[];
}

/** Builds the gates of ports, and what says which policy of a port is in force. */
export class GateBuilder {
  readonly #gates = new BuildCache(buildGate);
  readonly #clusters = new BuildCache(buildGateCluster);
  readonly #policies = new BuildCache(buildHeldPolicy);

  /**
   * The gates of those ports that have one.
   * @param holdSocket where the agent holds the ports that have a gate; undefined = nowhere
   */
  build(
    ports: readonly InboundPort[],
    rules: TrafficRules,
    { accessLog, audit }: InboundContext,
    holdSocket?: string,
  ): Gates {
    const gated = ports.filter(({ gate }) => gate !== undefined);
    return {
      clusters: gated.flatMap((at) => [
        this.#clusters.get({ port: at.port ?? 0, holdSocket }),
        ...(holdSocket === undefined ? [] : [this.policyOf(at, holdSocket)]),
      ]),
      listeners: gated.map(({ port = 0, cluster, tcpPolicy, gate }) => {
        const verdict = gate === 'judging' ? peerVerdict(rules, port) : undefined;
        return this.#gates.get({ port, cluster, verdict, tcpPolicy, accessLog, audit });
      }),
    };
  }

  /** What stands for the policy of a port that is held. */
  policyOf({ port = 0, tcpPolicy }: InboundPort, socket: string): XdsResource {
    return this.#policies.get({ socket, port, tcpPolicy });
  }
}

/** Whether there may be connections to a port that are not HTTP. */
export function mayCarryTcp({ protocol, cluster }: InboundPort): boolean {
  const { handling } = PROTOCOLS[protocol];
  return handling !== 'http' && handling !== 'none' && cluster !== CLUSTER_NAMES.blackHole;
}

/**
 * A port whose traffic is redirected, with a gate where its connections are to be ended: the
 * cluster to the application is ORIGINAL_DST, which has no endpoint of which a check could be about
 * something else.
 */
export function gatedToEnd<P extends InboundPort>(port: P, holdSocket: string | undefined): P {
  if (holdSocket === undefined || port.gate !== undefined || !mayCarryTcp(port)) return port;
  return { ...port, gate: 'passing' };
}
