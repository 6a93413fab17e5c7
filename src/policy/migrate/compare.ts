import { isDeepStrictEqual } from 'node:util';
import { violates, warning } from '#api/field-error.ts';
import type { ApiObject } from '#api/object.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { type PortTokens, TokenPolicies, tokensOfPort } from '#policy/authn/jwt.ts';
import { type InboundMode, type InboundMtls, modeOfPort } from '#policy/authn/mtls-mode.ts';
import { selectsWorkloads } from '#policy/authn/peer-authentication.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import { Authorizer, type RuleSet, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import { judgeToken } from '#policy/decide/token.ts';
import type { Draft } from '#policy/migrate/draft.ts';
import { type Probe, probesFor } from '#policy/migrate/probe.ts';
import { type Shape, shapesOf } from '#policy/migrate/shapes.ts';
import { type ServedPorts, servedPorts } from '#policy/migrate/workload-shape.ts';

/** A port that no service leads to: what holds for it holds for all such ports. */
const OTHER_PORT = 65_535;

/** A mesh, with what has to be computed once to ask it. */
interface Side {
  readonly mesh: MeshSnapshot;
  readonly peers: PeerAuthenticator;
  readonly tokens: TokenPolicies;
  readonly authorizer: Authorizer;
}

/** What holds for one workload in a mesh. */
interface Effective {
  readonly mesh: MeshSnapshot;
  readonly workload: Workload;
  readonly mtls: InboundMtls;
  readonly tokensAt: (port: number) => PortTokens;
  readonly tokens: ReturnType<TokenPolicies['tokensFor']>;
  readonly authorization: WorkloadAuthorization;
}

/** Who is told that a workload is decided about in another way. */
export type ToTell = (workload: Workload, port: number) => ApiObject;

/**
 * Compares what holds before and after for every workload that there may be: the mode of each
 * port, the rules for tokens, and the decision on requests that meet and miss every condition of
 * the policies of both. Differences are reported in the draft, as errors.
 */
export function compareMeshes(draft: Draft, after: MeshSnapshot, toTell: ToTell): void {
  const sides = [sideOf(draft.mesh), sideOf(after)] as const;
  for (const shape of shapesOf(after)) compareShape(shape, sides, { draft, toTell });
}

/** What a port takes. */
const TAKEN: Readonly<Record<InboundMode, string>> = {
  STRICT: 'mutual TLS only',
  PERMISSIVE: 'mutual TLS and plaintext',
  DISABLE: 'plaintext only',
  REFUSE: 'no connection',
};

const NOTES = {
  token: 'a token that is not good is refused also on ports and paths where none is needed',
  closed: 'connections that are not HTTP are refused on ports that no service names',
} as const;

interface Telling {
  readonly draft: Draft;
  readonly toTell: ToTell;
}

function compareShape(shape: Shape, sides: readonly [Side, Side], telling: Telling): void {
  const { workload } = shape;
  const served = servedPorts(workload, telling.draft.mesh.services.in(workload.namespace));
  const before = effective(sides[0], workload);
  const after = effective(sides[1], workload);
  const tell = (port: number, what: string): void => {
    const object = telling.toTell(workload, port);
    const where = port === OTHER_PORT ? 'every other port' : `port ${port}`;
    const found = violates('spec', `${shape.shown}, ${where}: ${what}`);
    // Of workloads that nobody spoke of, the user has to say whether there are any.
    telling.draft.report(object, shape.isSupposed ? { ...found, severity: 'warning' } : found);
  };
  const named = [...before.mtls.ports.keys(), ...after.mtls.ports.keys()];
  const ports = [...new Set([...served.http, ...served.tcp, ...named])].sort((a, b) => a - b);
  for (const port of [...ports, OTHER_PORT]) {
    const [was, is] = [modeOfPort(before.mtls, port), modeOfPort(after.mtls, port)];
    if (was !== is) tell(port, `${TAKEN[was]} is taken, and ${TAKEN[is]} would be`);
  }
  for (const port of [...served.http, OTHER_PORT]) {
    const problem = tokenDifference(before.tokensAt(port), after.tokensAt(port));
    if (problem !== undefined) tell(port, problem);
  }
  const several = overlapping(workload, telling.draft.mesh, sides[1].mesh);
  if (several !== undefined) tell(OTHER_PORT, several);
  const note = (port: number, what: keyof typeof NOTES): void => {
    telling.draft.report(telling.toTell(workload, port), warning('spec', NOTES[what]));
  };
  compareDecisions(before, after, { served, ports: [...ports, OTHER_PORT], tell, note });
}

/**
 * What is wrong where new objects select one workload several times: which of them counts hangs on
 * their age.
 */
function overlapping(
  { namespace, labels }: Workload,
  before: MeshSnapshot,
  after: MeshSnapshot,
): string | undefined {
  const selecting = ({ peerAuthentications }: MeshSnapshot) =>
    peerAuthentications
      .in(namespace)
      .filter((one) => selectsWorkloads(one))
      .filter(({ spec }) => labelsMatch(spec?.selector?.matchLabels ?? {}, labels));
  const found = selecting(after);
  if (found.length < 2 || found.length === selecting(before).length) return undefined;
  const said = found.map(({ spec }) => ({ mtls: spec?.mtls, ports: spec?.portLevelMtls }));
  if (said.every((one) => isDeepStrictEqual(one, said[0]))) return undefined;
  const names = found.map(({ metadata }) => metadata.name).join(', ');
  return `only one of several PeerAuthentication objects counts, by their age: ${names}`;
}

function sideOf(mesh: MeshSnapshot): Side {
  const { settings } = mesh;
  return {
    mesh,
    peers: new PeerAuthenticator(settings),
    tokens: new TokenPolicies(settings),
    authorizer: new Authorizer(settings),
  };
}

function effective({ mesh, peers, tokens, authorizer }: Side, workload: Workload): Effective {
  const found = tokens.tokensFor(workload, mesh);
  return {
    mesh,
    workload,
    mtls: peers.inboundMtls(workload, mesh),
    tokens: found,
    tokensAt: (port) => tokensOfPort(found, port),
    authorization: authorizer.authorizationFor(workload, mesh),
  };
}

/** What of the tokens that were taken is otherwise afterwards, apart from who needs one. */
function tokenDifference(before: PortTokens, after: PortTokens): string | undefined {
  for (const { triggers, ...rule } of before.rules) {
    const same = after.rules.filter(({ issuer }) => issuer === rule.issuer);
    if (same.length === 0) return `tokens of ${rule.issuer} are taken, and would not be`;
    const differs = same.some(({ triggers: none, ...one }) => !isDeepStrictEqual(one, rule));
    if (differs) return `tokens of ${rule.issuer} are read by several rules that differ`;
  }
  return undefined;
}

interface Comparison {
  readonly served: ServedPorts;
  readonly ports: readonly number[];
  /** Takes a difference. */
  readonly tell: (port: number, what: string) => void;
  /** Takes what the new API does otherwise wherever it is used; nobody is let in by it. */
  readonly note: (port: number, what: keyof typeof NOTES) => void;
}

function compareDecisions(
  before: Effective,
  after: Effective,
  { served, ports, tell, note }: Comparison,
): void {
  const isSame =
    before.authorization === after.authorization ||
    samePolicies(before.authorization, after.authorization);
  if (isSame && sameTokens(before, after, ports)) return;
  const authorizations = [before.authorization, after.authorization];
  const { list: probes, isWhole } = probesFor({
    rules: authorizations.flatMap(({ policies }) =>
      policies.flatMap((policy) => [...policy.http, ...policy.tcp]),
    ),
    tokens: [before, after].flatMap(({ tokensAt }) => ports.map(tokensAt)),
    ports,
  });
  if (!isWhole) tell(OTHER_PORT, 'there are more conditions than can be tried');
  const rehearses = authorizations.some(({ policies }) => policies.some(({ dryRun }) => dryRun));
  const ways = rehearses ? [false, true] : [false];
  const told = new Set<number>();
  for (const probe of probes) {
    if (told.has(probe.port)) continue;
    const question = kindsOfTraffic(probe.port, served)
      .flatMap((isHttp) => ways.map((isRehearsal) => ({ probe, isHttp, isRehearsal })))
      .find((one) => decide(before, one).verdict !== decide(after, one).verdict);
    if (question === undefined) continue;
    const [was, is] = [decide(before, question), decide(after, question)];
    if (was.ignoresToken && is.refusesToken) note(probe.port, 'token');
    else if (isNewlyClosed(question, is)) note(probe.port, 'closed');
    else {
      told.add(probe.port);
      const { isHttp, isRehearsal } = question;
      const what = `${shownProbe(probe, isHttp)} is ${was.verdict}, and would be ${is.verdict}`;
      tell(probe.port, isRehearsal ? `${what}, with what is in dry run` : what);
    }
  }
}

/** Whether a port sees requests, plain connections, or, as those that no service names, both. */
function kindsOfTraffic(port: number, { http, tcp }: ServedPorts): readonly boolean[] {
  const isHttp = http.includes(port);
  const isTcp = tcp.includes(port);
  return isHttp === isTcp ? [true, false] : [isHttp];
}

/** A plain connection to a port that no service names is refused since requests need a token. */
function isNewlyClosed({ probe, isHttp }: Question, { verdict }: Answer): boolean {
  return probe.port === OTHER_PORT && !isHttp && verdict === 'refused';
}

function samePolicies(a: WorkloadAuthorization, b: WorkloadAuthorization): boolean {
  return (
    a.policies.length === b.policies.length &&
    a.policies.every(
      (policy, index) => policy.kind === 'AuthorizationPolicy' && policy === b.policies[index],
    )
  );
}

function sameTokens(before: Effective, after: Effective, ports: readonly number[]): boolean {
  return ports.every((port) => isDeepStrictEqual(before.tokensAt(port), after.tokensAt(port)));
}

interface Question {
  readonly probe: Probe;
  readonly isHttp: boolean;
  readonly isRehearsal: boolean;
}

interface Answer {
  readonly verdict: 'let in' | 'refused';
  /** The request has a token that nobody looked at. */
  readonly ignoresToken: boolean;
  readonly refusesToken: boolean;
}

function decide(one: Effective, { probe, isHttp, isRehearsal }: Question): Answer {
  const { mesh, workload, tokens } = one;
  const { settings } = mesh;
  const { method, path, host, headers, claims } = probe;
  const http = isHttp ? { method, target: path, host, headers } : undefined;
  const token = claims && { claims };
  const call = { to: { workload, workloadPort: probe.port }, http, token };
  const judged = judgeToken(call, { mesh, tokens, nowMs: 0 });
  const refusesToken = judged.layer.outcome === 'deny';
  const ignoresToken = token !== undefined && judged.claims === undefined && !refusesToken;
  if (refusesToken) return { verdict: 'refused', ignoresToken, refusesToken };
  const request = {
    source: {
      identity: probe.identity,
      address: probe.address,
      originalAddress: probe.originalAddress,
    },
    destination: { address: probe.destinationAddress, port: probe.port },
    serverName: probe.serverName,
    http: http && { ...http, claims: judged.claims },
    // On a plain connection nobody but the peer is known.
    principals: isHttp ? one.tokensAt(probe.port).binding : 'peer',
    metadata: probe.metadata,
  };
  const authorization = isRehearsal ? rehearsed(one.authorization) : one.authorization;
  const { hardening, pathNormalization } = settings;
  const { decision } = evaluate(authorization, request, hardening, pathNormalization);
  return { verdict: decision === 'allow' ? 'let in' : 'refused', ignoresToken, refusesToken };
}

const rehearsals = new WeakMap<WorkloadAuthorization, WorkloadAuthorization>();

/** What would be enforced if policies in dry run were, too. */
function rehearsed(authorization: WorkloadAuthorization): WorkloadAuthorization {
  const known = rehearsals.get(authorization);
  if (known !== undefined) return known;
  const both = ({ enforced, dryRun }: RuleSet): RuleSet => {
    const isNone = enforced === undefined && dryRun === undefined;
    return { enforced: isNone ? undefined : [...(enforced ?? []), ...(dryRun ?? [])], dryRun };
  };
  const swapped = ({ deny, allow, ...rest }: WorkloadAuthorization['http']) => ({
    ...rest,
    deny: both(deny),
    allow: both(allow),
  });
  const { http, tcp } = authorization;
  const made = { ...authorization, http: swapped(http), tcp: swapped(tcp) };
  rehearsals.set(authorization, made);
  return made;
}

function shownProbe({ identity, method, path, claims }: Probe, isHttp: boolean): string {
  const who = identity === undefined ? 'a caller without identity' : identity;
  const token = claims === undefined ? 'without token' : `with a token of ${String(claims.iss)}`;
  return isHttp ? `${method} ${path} of ${who} ${token}` : `a connection of ${who}`;
}
