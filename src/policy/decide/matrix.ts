import { present } from '#base/assert.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { TokenPolicies, tokensOfPort } from '#policy/authn/jwt.ts';
import { type AuthzFacts, factsOf } from '#policy/authz/request.ts';
import { isRevoked } from '#policy/authz/revoked-peers.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import type { Caller, Target } from '#policy/decide/call.ts';
import { callersOf } from '#policy/decide/callers.ts';
import { ConnectionDecider } from '#policy/decide/connection.ts';
import { targetsOf } from '#policy/decide/find-targets.ts';
import { gatewayPassages, passageKey, passageReach } from '#policy/decide/gateway-passages.ts';
import { FULL_REACH, NO_REACH, type Reach, reachOf } from '#policy/decide/reach.ts';
import { HARDENING } from '#policy/hardening.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** The name of who is not in the mesh, among callers. */
export const OUTSIDE_CALLER = 'outside';

/** Who reaches how much of one port of a service. */
export interface MatrixRow {
  /** `namespace/service:port` */
  readonly to: string;
  /**
   * By the name of the caller: `namespace/account`, all of them and sorted, `outside`, and `outside
   * through namespace/gateway` for gateways that lead there.
   */
  readonly from: ReadonlyMap<string, Reach>;
}

/** Who may talk to whom: a row for each port of each service of the mesh, sorted. Pure. */
export function matrixOf(mesh: MeshSnapshot): readonly MatrixRow[] {
  const finder = new ReachFinder(mesh);
  const passages = gatewayPassages(mesh);
  const outside: Caller = { identity: undefined, namespace: '', labels: {}, address: '' };
  const callers: [string, Caller][] = [
    ...callersOf(mesh).map((one): [string, Caller] => [one.name, one]),
    [OUTSIDE_CALLER, outside],
  ];
  return mesh.services.all().flatMap((service) =>
    service.ports.flatMap((port): MatrixRow[] => {
      const targets = targetsOf(service, port, mesh);
      if (targets.length === 0) return [];
      const from = callers.map(([name, caller]) => [name, finder.reach(caller, targets)] as const);
      const through = (passages.get(passageKey(service, port.port)) ?? []).map((passage) => {
        const reach = finder.reach(passage.from, targets);
        return [passage.name, passageReach(passage, finder.entering(passage.at), reach)] as const;
      });
      const to = `${service.namespace}/${service.name}:${port.port}`;
      return [{ to, from: new Map([...from, ...together(through)]) }];
    }),
  );
}

/** Of the ways through one gateway, what all of them let in together. */
function together(
  ways: readonly (readonly [string, Reach])[],
): readonly (readonly [string, Reach])[] {
  return [...Map.groupBy(ways, ([name]) => name)].map(([name, of]) => {
    const open = of.map(([, reach]) => reach).filter(({ reach }) => reach !== 'none');
    const all = <K extends 'only' | 'except' | 'rules'>(key: K) =>
      [...new Set(open.flatMap((reach) => reach[key]))].sort();
    if (open.length === 0) return [name, NO_REACH];
    const words = { except: all('except'), rules: all('rules') };
    return [name, { reach: 'some', only: all('only'), ...words }];
  });
}

/** What is the same for every caller of a target. */
interface TargetRules {
  readonly traffic: WorkloadAuthorization['http'];
  readonly facts: AuthzFacts;
  /** What a caller must bring beside itself; '' = nothing. */
  readonly needs: string;
}

class ReachFinder {
  readonly #mesh: MeshSnapshot;
  readonly #authorizer: Authorizer;
  readonly #tokens: TokenPolicies;
  readonly #connections: ConnectionDecider;
  readonly #targets = new WeakMap<Target, TargetRules>();

  constructor(mesh: MeshSnapshot) {
    this.#mesh = mesh;
    this.#authorizer = new Authorizer(mesh.settings);
    this.#tokens = new TokenPolicies(mesh.settings);
    this.#connections = new ConnectionDecider(mesh);
  }

  /** A caller cannot choose the workload that answers: what only some allow is not allowed. */
  reach(from: Caller, targets: readonly Target[]): Reach {
    const each = targets.map((target) => this.#reach(from, target));
    const [first = NO_REACH] = each;
    const worded = new Set(each.map((one) => JSON.stringify(one)));
    if (worded.size <= 1) return first;
    if (each.every(({ reach }) => reach === 'none')) return NO_REACH;
    const except = ['what some of its workloads deny'];
    return { ...first, reach: 'some', except, only: [...new Set(each.flatMap((one) => one.only))] };
  }

  /** What policies of a gateway let in of who is outside; whatever its listener asks for. */
  entering(target: Target): Reach {
    return this.#judged(target, '');
  }

  #reach(from: Caller, target: Target): Reach {
    const { layer, carriesIdentity } = this.#connections.decide(from, target);
    const isRevoked = this.#isRevoked(from.identity) || this.#isRevoked(target.workload.identity);
    if (layer.outcome === 'deny' || (carriesIdentity && isRevoked)) return NO_REACH;
    // Without a proxy beside the workload nobody enforces anything.
    if (!target.workload.mtlsCapable) return FULL_REACH;
    return this.#judged(target, carriesIdentity ? (from.identity ?? '') : '');
  }

  #judged(target: Target, identity: string): Reach {
    const { traffic, facts, needs } = this.#rulesOf(target);
    const found = reachOf(traffic, { ...facts, identity });
    if (needs === '' || found.reach === 'none') return found;
    return { ...found, reach: 'some', except: [...found.except, `what comes without ${needs}`] };
  }

  #isRevoked(identity: SpiffeId | undefined): boolean {
    const { revocations, settings } = this.#mesh;
    return identity !== undefined && isRevoked({ identity }, revocations, settings);
  }

  #rulesOf(target: Target): TargetRules {
    const known = this.#targets.get(target);
    if (known) return known;
    const { workload, workloadPort, port, entrance } = target;
    const authorization = this.#authorizer.authorizationFor(workload, this.#mesh);
    const isHttp = PROTOCOLS[port.protocol].handling !== 'tcp';
    const tokens = tokensOfPort(
      this.#tokens.tokensFor(workload, this.#mesh),
      entrance ? 0 : workloadPort,
    );
    const { requiredTokensAreEnforced } = HARDENING[this.#mesh.settings.hardening];
    const asksForToken = requiredTokensAreEnforced && tokens.rules.some((one) => one.isRequired);
    const needsToken = tokens.demand === 'present' || asksForToken;
    const rules: TargetRules = {
      traffic: isHttp ? authorization.http : authorization.tcp,
      facts: portFacts(workloadPort, tokens.binding === 'origin' && !entrance),
      needs: isHttp && needsToken && tokens.rules.length > 0 ? 'a token' : '',
    };
    this.#targets.set(target, rules);
    return rules;
  }
}

/** What is known of any call of a port. */
function portFacts(port: number, principalsAreUsers: boolean): AuthzFacts {
  const request = { source: { address: '' }, destination: { port } };
  const facts = present(factsOf(request, 'NONE', 'strict'), 'facts of a plain connection');
  return { ...facts, endUser: principalsAreUsers ? '' : undefined };
}
