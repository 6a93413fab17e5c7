import { topologyAt } from '#model/gateway-topology.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { TokenPolicies, tokensOfPort } from '#policy/authn/jwt.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import { isRevoked } from '#policy/authz/revoked-peers.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import {
  adviceOnAllow,
  adviceOnConnection,
  adviceOnDeny,
  type NearestRule,
  nearestRules,
} from '#policy/decide/advice.ts';
import { requestOf } from '#policy/decide/arrived-request.ts';
import {
  type AuthorizationResult,
  answerOfRule,
  authorize,
  FORBIDDEN,
  objectOfPolicy,
} from '#policy/decide/authorization.ts';
import type { Call, Target } from '#policy/decide/call.ts';
import { callsBehind } from '#policy/decide/calls-behind.ts';
import { ConnectionDecider, type ConnectionResult } from '#policy/decide/connection.ts';
import {
  AFTER_CONNECTION,
  AFTER_REVOCATION,
  AFTER_TOKEN,
  ALLOWED,
  type Decision,
  decidingLayer,
  endedByRoute,
  refusal,
  unguarded,
} from '#policy/decide/decision.ts';
import { type EnteredGateway, enterGateway, routesRequests } from '#policy/decide/enter-gateway.ts';
import { gatewayTargets } from '#policy/decide/find-gateways.ts';
import { targetsOf } from '#policy/decide/find-targets.ts';
import type { Layer, PolicyObject } from '#policy/decide/layer.ts';
import { type ReceivedRequest, receivedRequest } from '#policy/decide/received-request.ts';
import { judgeToken, type TokenResult } from '#policy/decide/token.ts';
import { withTokenHeaders } from '#policy/decide/token-headers.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A rule that is enforced somewhere in the mesh. */
export interface EnforcedRule {
  /** As access logs name it. */
  readonly name: string;
  readonly object: PolicyObject;
  /** Where it is in the object: `spec.rules[0]`. */
  readonly field: string;
}

/** A call, and what becomes of it. */
export interface FollowedCall {
  readonly call: Call;
  readonly decision: Decision;
}

/** A decision, and of a call to a gateway what it goes on with. */
interface Judged {
  readonly decision: Decision;
  readonly entered?: EnteredGateway | undefined;
  readonly token?: TokenResult;
  readonly received?: ReceivedRequest;
}

/**
 * Decides about calls in a mesh as its proxies would, from the same compiled policies, and says
 * why. Pure; it remembers what it compiled for the snapshot.
 */
export class Decider {
  readonly #mesh: MeshSnapshot;
  readonly #authorizer: Authorizer;
  readonly #tokens: TokenPolicies;
  readonly #connections: ConnectionDecider;

  constructor(mesh: MeshSnapshot) {
    this.#mesh = mesh;
    this.#authorizer = new Authorizer(mesh.settings);
    this.#tokens = new TokenPolicies(mesh.settings);
    this.#connections = new ConnectionDecider(mesh);
  }

  /**
   * What becomes of a call. `nowMs`: wall-clock milliseconds, by which tokens expire. Of a call to
   * a gateway: at the gateway, no further.
   */
  decide(call: Call, nowMs: number): Decision {
    return this.#decide(call, nowMs).decision;
  }

  /**
   * What becomes of a call, and of those that a gateway makes for it: one decision for each way
   * that it may take. Where the gateway lets it in, its layers come before those of the service.
   */
  follow(call: Call, nowMs: number): readonly FollowedCall[] {
    const judged = this.#decide(call, nowMs);
    const { decision, entered } = judged;
    const isIn = decision.decision === 'allow' && entered !== undefined;
    if (!isIn) return [{ call, decision }];
    return callsBehind(call, { ...judged, entered }, this.#mesh).map((onward) => {
      return {
        call: onward,
        decision: behindGateway(decision, this.decide(onward, nowMs), onward),
      };
    });
  }

  #decide(call: Call, nowMs: number): Judged {
    const { route, to } = call;
    if (route?.answer !== undefined) return { decision: endedByRoute(call, route, route.answer) };
    const judged = this.#decideArrived(call, nowMs);
    const { decision } = judged;
    if (to.entrance) return { ...judged, decision: atGateway(decision, gatewayName(to)) };
    if (!route) return judged;
    return { ...judged, decision: { ...decision, layers: [route.layer, ...decision.layers] } };
  }

  #decideArrived(given: Call, nowMs: number): Judged {
    const { to } = given;
    const { settings } = this.#mesh;
    const entered = to.entrance && enterGateway(given, to.entrance, this.#mesh);
    // Of a connection that is led on nothing is read.
    const call = entered && !routesRequests(entered) ? { ...given, http: undefined } : given;
    const connection = entered ?? this.#verified(call, this.#connections.decide(call.from, to));
    if (connection.layer.outcome === 'deny') {
      const answer = entered ? CLOSED : call.from.identity ? unreached(call) : RESET;
      const advice = connection.advice ?? adviceOnConnection(call.from, connection);
      return { decision: { ...refusal(to, [connection.layer], AFTER_CONNECTION, answer), advice } };
    }
    if (!entered && !to.workload.mtlsCapable) return { decision: unguarded(to, connection.layer) };
    const revocation = this.#revocation(call, connection);
    if (revocation.outcome === 'deny') {
      const answer = this.#isRevoked(to.workload.identity) ? unreached(call) : FORBIDDEN;
      return { decision: refusal(to, [connection.layer, revocation], AFTER_REVOCATION, answer) };
    }
    const tokens = this.#tokens.tokensFor(to.workload, this.#mesh);
    const token = judgeToken(call, { mesh: this.#mesh, tokens, nowMs });
    const layers = [connection.layer, revocation, token.layer];
    if (token.layer.outcome === 'deny') {
      const { advice } = token;
      return { decision: { ...refusal(to, layers, AFTER_TOKEN, UNAUTHORIZED), advice } };
    }
    const authorization = this.#authorizer.authorizationFor(to.workload, this.#mesh);
    // Principals of policies at gateways are those of callers.
    const principals = entered ? 'peer' : tokensOfPort(tokens, to.workloadPort).binding;
    const peer = entered?.peer ?? (connection.carriesIdentity ? call.from.identity : undefined);
    const isTls = entered ? entered.serverName !== undefined : connection.carriesIdentity;
    const arrived = receivedRequest(call, settings, peer, isTls);
    const received = { ...arrived, headers: withTokenHeaders(arrived.headers, call.token, token) };
    const { proxyProtocol } = topologyAt(to.workload, settings);
    const isTold = entered !== undefined && proxyProtocol;
    const facts = requestOf(call, { peer, entered, isTold }, token, received);
    const request: AuthzRequest = { ...facts, principals };
    const result = authorize(authorization, request, settings);
    const decision = this.#authorized(call, connection, layers, result);
    return { decision, entered, token, received };
  }

  /** The rules that something in the mesh is enforced by, in the order of their objects. */
  rules(): readonly EnforcedRule[] {
    const found = new Map<string, EnforcedRule>();
    for (const authorization of this.#authorizations()) {
      for (const policy of authorization.policies) {
        if (policy.dryRun) continue;
        for (const { name, index } of policy.http) {
          const isWritten = policy.kind === 'AuthorizationPolicy';
          const field = isWritten ? `spec.rules[${index}]` : 'spec';
          found.set(name, { name, object: objectOfPolicy(policy), field });
        }
      }
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #authorizations(): ReadonlySet<WorkloadAuthorization> {
    const { services } = this.#mesh;
    const targets = services
      .all()
      .flatMap((service) => service.ports.flatMap((port) => targetsOf(service, port, this.#mesh)));
    const all = [...targets, ...gatewayTargets(this.#mesh)];
    const workloads = new Set(all.map(({ workload }) => workload));
    return new Set(
      [...workloads].map((workload) => this.#authorizer.authorizationFor(workload, this.#mesh)),
    );
  }

  #authorized(
    call: Call,
    { lostBy }: ConnectionResult,
    before: readonly Layer[],
    { decision, layers, facts, matched, asks }: AuthorizationResult,
  ): Decision {
    const { to: target } = call;
    const all = [...before, ...layers];
    const decidedBy = decidingLayer(all);
    const common = { target, layers: all, decidedBy, matched, asks };
    if (decision.decision === 'allow')
      return { ...common, decision: 'allow', answer: ALLOWED, nearest: [], advice: undefined };
    const answer = call.http ? FORBIDDEN : CLOSED;
    const denied = { ...common, decision: 'deny', answer, nearest: [], advice: undefined } as const;
    if (facts === undefined) return { ...denied, answer: '400 Bad Request' };
    const authorization = this.#authorizer.authorizationFor(target.workload, this.#mesh);
    const isOutside = call.from.identity === undefined;
    const refused = { facts, authorization, lostBy, isOutside };
    switch (decision.because) {
      case 'a rule denies': {
        const told = call.http ? answerOfRule(decision.rule, authorization) : answer;
        return { ...denied, answer: told, advice: adviceOnDeny(decision.rule, refused) };
      }
      case 'no ALLOW rule matches': {
        const advice = adviceOnAllow(decision.nearest, decision.policies, refused);
        const nearest = nearestRules(decision.nearest, refused);
        return { ...denied, decidedBy: withField(decidedBy, nearest[0]), nearest, advice };
      }
      default:
        return denied;
    }
  }

  /** A certificate of a trust domain that nobody vouches for does not get through the handshake. */
  #verified({ from }: Call, connection: ConnectionResult): ConnectionResult {
    const { settings, trustBundles } = this.#mesh;
    const domain = /^spiffe:\/\/([^/]+)/.exec(from.identity ?? '')?.[1];
    const known: readonly string[] = [...meshTrustDomains(settings), ...trustBundles.domains];
    if (!connection.carriesIdentity || domain === undefined || known.includes(domain))
      return connection;
    const reason = `the trust domain ${domain} is not this one, and no TrustBundle vouches for it`;
    const advice = `create a TrustBundle for ${domain}, if that mesh is to call`;
    return { ...connection, layer: { layer: 'connection', outcome: 'deny', reason }, advice };
  }

  /** Who sends no certificate has none that could be revoked. */
  #revocation({ from, to }: Call, { carriesIdentity }: ConnectionResult): Layer {
    const layer = 'revocation';
    const server = to.workload.identity;
    if (carriesIdentity && this.#isRevoked(server))
      return {
        layer,
        outcome: 'deny',
        reason: `the identity of the server, ${server}, is revoked`,
      };
    if (carriesIdentity && this.#isRevoked(from.identity)) {
      const reason = `the identity of the caller, ${from.identity}, is revoked`;
      return { layer, outcome: 'deny', reason };
    }
    return { layer, outcome: 'pass', reason: 'nobody is revoked' };
  }

  #isRevoked(identity: SpiffeId | undefined): boolean {
    const { revocations, settings } = this.#mesh;
    return identity !== undefined && isRevoked({ identity }, revocations, settings);
  }
}

/** What keeps a call out that nothing allows is the first field of the rule that comes nearest. */
function withField(layer: Layer, nearest: NearestRule | undefined): Layer {
  const [first] = nearest?.failed ?? [];
  if (nearest === undefined || first === undefined) return layer;
  return { ...layer, object: nearest.object, rule: nearest.rule, field: first.field };
}

const UNAUTHORIZED = '401 Unauthorized';
const CLOSED = 'the connection is closed';
const RESET = 'the connection is reset';

/** What is seen of a server that the proxy of the caller cannot reach. */
function unreached({ via }: Call): string {
  return `503 from ${via ? 'the gateway' : 'its own proxy'}, which gets no connection`;
}

/** Layers, and what decides, as the gateway's. */
function atGateway(decision: Decision, at: string): Decision {
  const layers = decision.layers.map((layer) => ({ ...layer, at }));
  return { ...decision, layers, decidedBy: { ...decision.decidedBy, at } };
}

/** What was decided at a gateway, and then of the call that it makes. */
function behindGateway(first: Decision, next: Decision, { route, via }: Call): Decision {
  const at = via ? gatewayName(via.to) : '';
  const placed = (layer: Layer): Layer => (layer.layer === 'route' ? { ...layer, at } : layer);
  const own = route?.answer === undefined ? next.layers : next.layers.slice(0, 1);
  return {
    ...next,
    layers: [...first.layers, ...own.map(placed)],
    decidedBy: placed(next.decidedBy),
    matched: [...first.matched, ...next.matched],
    asks: [...new Set([...first.asks, ...next.asks])],
  };
}

function gatewayName({ service }: Target): string {
  return `${service.namespace}/${service.name}`;
}
