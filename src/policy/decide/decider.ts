import { present } from '#base/assert.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { TokenPolicies, tokensOfPort } from '#policy/authn/jwt.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
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
import {
  type AuthorizationResult,
  answerOfRule,
  authorize,
  FORBIDDEN,
  objectOfPolicy,
} from '#policy/decide/authorization.ts';
import type { Call, TakenRoute, Target } from '#policy/decide/call.ts';
import { ConnectionDecider, type ConnectionResult } from '#policy/decide/connection.ts';
import { targetsOf } from '#policy/decide/find-targets.ts';
import type { Layer, LayerName, PolicyObject } from '#policy/decide/layer.ts';
import { type ReceivedRequest, receivedRequest } from '#policy/decide/received-request.ts';
import { judgeToken, type TokenResult } from '#policy/decide/token.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** What becomes of a call at one workload, and why. */
export interface Decision {
  readonly decision: 'allow' | 'deny';
  readonly target: Target;
  /** What is asked, in order; after the layer that denies the others are skipped. */
  readonly layers: readonly Layer[];
  /** The layer that decides: the one that denies, else the one that allows. */
  readonly decidedBy: Layer;
  /** What the caller gets to see. */
  readonly answer: string;
  /** For a denial: the ALLOW rules that come nearest, fewest failed fields first. */
  readonly nearest: readonly NearestRule[];
  /** For a denial: the smallest change that would allow the call, where there is one. */
  readonly advice: string | undefined;
  /** The enforced rules of the workload that the call meets. */
  readonly matched: readonly CompiledRule[];
  /** Names of the extension providers that are asked, and may deny what is allowed here. */
  readonly asks: readonly string[];
}

/** A rule that is enforced somewhere in the mesh. */
export interface EnforcedRule {
  /** As access logs name it. */
  readonly name: string;
  readonly object: PolicyObject;
  /** Where it is in the object: `spec.rules[0]`. */
  readonly field: string;
}

const ALL_LAYERS = ['connection', 'revocation', 'token', 'custom', 'deny', 'allow'] as const;
const AFTER_CONNECTION = ['revocation', 'token', 'custom', 'deny', 'allow'] as const;
const AFTER_REVOCATION = ['token', 'custom', 'deny', 'allow'] as const;
const AFTER_TOKEN = ['custom', 'deny', 'allow'] as const;

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

  /** What becomes of a call. `nowMs`: wall-clock milliseconds, by which tokens expire. */
  decide(call: Call, nowMs: number): Decision {
    const { route } = call;
    if (route?.answer !== undefined) return endedByRoute(call, route, route.answer);
    const decision = this.#decideArrived(call, nowMs);
    return route ? { ...decision, layers: [route.layer, ...decision.layers] } : decision;
  }

  #decideArrived(call: Call, nowMs: number): Decision {
    const { to } = call;
    const connection = this.#verified(call, this.#connections.decide(call.from, to));
    if (connection.layer.outcome === 'deny')
      return {
        ...refusal(to, [connection.layer], AFTER_CONNECTION, call.from.identity ? UPSTREAM : RESET),
        advice: connection.advice ?? adviceOnConnection(call.from, connection),
      };
    if (!to.workload.mtlsCapable) return unguarded(to, connection.layer);
    const revocation = this.#revocation(call, connection);
    if (revocation.outcome === 'deny') {
      const answer = this.#isRevoked(to.workload.identity) ? UPSTREAM : FORBIDDEN;
      return refusal(to, [connection.layer, revocation], AFTER_REVOCATION, answer);
    }
    const tokens = this.#tokens.tokensFor(to.workload, this.#mesh);
    const token = judgeToken(call, { mesh: this.#mesh, tokens, nowMs });
    const layers = [connection.layer, revocation, token.layer];
    if (token.layer.outcome === 'deny') {
      const advice = token.advice;
      return { ...refusal(to, layers, AFTER_TOKEN, UNAUTHORIZED), advice };
    }
    const authorization = this.#authorizer.authorizationFor(to.workload, this.#mesh);
    const principals = tokensOfPort(tokens, to.workloadPort).binding;
    const peer = connection.carriesIdentity ? call.from.identity : undefined;
    const received = receivedRequest(call, this.#mesh.settings.hardening, peer);
    const facts = requestOf(call, connection, token, received);
    const request: AuthzRequest = { ...facts, principals };
    const result = authorize(authorization, request, this.#mesh.settings);
    return this.#authorized(call, connection, layers, result);
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
    const workloads = new Set(targets.map(({ workload }) => workload));
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

const ALLOWED = 'the application gets it';
const UNAUTHORIZED = '401 Unauthorized';
const CLOSED = 'the connection is closed';
const UPSTREAM = '503 from its own proxy, which gets no connection';
const RESET = 'the connection is reset';

function requestOf(
  { from, to, http }: Call,
  { carriesIdentity }: ConnectionResult,
  { claims }: TokenResult,
  { headers, originalAddress }: ReceivedRequest,
): AuthzRequest {
  const { service, port, workload, workloadPort, subset = '' } = to;
  return {
    source: {
      identity: carriesIdentity ? from.identity : undefined,
      address: from.address,
      originalAddress,
    },
    destination: { address: workload.address, port: workloadPort },
    serverName: carriesIdentity ? `outbound_.${port.port}_.${subset}_.${service.host}` : undefined,
    http: http && { ...http, headers, claims },
  };
}

/** No workload of the mesh is asked. */
function endedByRoute({ to }: Call, { layer, advice }: TakenRoute, answer: string): Decision {
  const decision = layer.outcome === 'deny' ? 'deny' : 'allow';
  return { ...refusal(to, [layer], ALL_LAYERS, answer), decision, decidedBy: layer, advice };
}

/** Policies are enforced by the proxy beside a workload; here is none. */
function unguarded(target: Target, connection: Layer): Decision {
  const reason = 'no proxy is beside the workload, so no policy is enforced';
  const rest = AFTER_CONNECTION.map((layer): Layer => ({ layer, outcome: 'skipped', reason }));
  const layers = [connection, ...rest];
  const decidedBy = { ...connection, reason };
  return { ...refusal(target, layers, [], ALLOWED), decision: 'allow', decidedBy };
}

function refusal(
  target: Target,
  layers: readonly Layer[],
  rest: readonly LayerName[],
  answer: string,
): Decision {
  const skipped = rest.map((layer): Layer => ({ layer, outcome: 'skipped', reason: 'not asked' }));
  const all = [...layers, ...skipped];
  return {
    decision: 'deny',
    target,
    layers: all,
    decidedBy: decidingLayer(all),
    answer,
    nearest: [],
    advice: undefined,
    matched: [],
    asks: [],
  };
}

function decidingLayer(layers: readonly Layer[]): Layer {
  const denying = layers.find(({ outcome }) => outcome === 'deny');
  return denying ?? present(layers.at(-1), 'the last layer');
}
