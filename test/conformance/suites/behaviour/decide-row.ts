import type { MeshSnapshot } from '#model/snapshot.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import type { Call, GivenToken, Target } from '#policy/decide/call.ts';
import { Decider } from '#policy/decide/decider.ts';
import type { Decision } from '#policy/decide/decision.ts';
import { findServicePort, findTargets } from '#policy/decide/find-targets.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { meshFor, placeOf, portOf } from './behaviour-mesh.ts';
import type { BehaviourRow } from './behaviour-row.ts';
import type { TokenTable } from './tokens.ts';

/** What becomes of one call of a row. */
export interface RowDecision {
  /** Who calls what, for messages. */
  readonly call: string;
  readonly wanted: string;
  readonly asWanted: boolean;
  readonly reason: string;
  readonly verdict: 'allow' | 'deny';
  /** What an Envoy can be asked; undefined where a token or the connection decides. */
  readonly asked: AskedOfEnvoy | undefined;
}

/** A request and the authorization that it meets. */
export interface AskedOfEnvoy {
  readonly authorization: WorkloadAuthorization;
  readonly request: AuthzRequest;
}

/** After every token of the data was issued, and before they end. */
const NOW_MS = Date.UTC(2026, 7, 1);
/** gRPC calls of the test's echo service. */
const GRPC_PATH = '/proto.EchoTestService/Echo';

/** Decides every call of a row: by each caller, on each port. */
export async function decideRow(
  row: BehaviourRow,
  folder: string,
  tokens: TokenTable,
): Promise<RowDecision[]> {
  const { settings, model } = meshFor(row, folder);
  const mesh = model.snapshot();
  const decider = new Decider(mesh);
  const authorizer = new Authorizer(settings);
  const token =
    row.token === '' ? undefined : { claims: await tokens.claimsOf(row.token, row.release) };
  const { withMtls = '', plaintext } = row.expect ?? {};
  const runs: [boolean, string][] = [[true, withMtls]];
  if (plaintext !== undefined) runs.push([false, plaintext]);
  return runs.flatMap(([mtls, wanted]) =>
    row.from.flatMap((from) =>
      row.ports.map((port): RowDecision => {
        const to = targetOf(row, port, mesh);
        const call = callOf(row, { from, port, mtls, to, token });
        const decision = decider.decide(call, NOW_MS);
        const authorization = authorizer.authorizationFor(to.workload, mesh);
        const { reason } = decision.decidedBy;
        return {
          call: `${from} → ${row.to}:${port}${mtls ? '' : ' in plaintext'}`,
          wanted,
          asWanted: isWanted(decision, wanted),
          reason: `${decision.answer}: ${reason}`,
          verdict: decision.decision,
          asked: askedOf(call, decision, authorization),
        };
      }),
    ),
  );
}

function targetOf({ to }: BehaviourRow, port: string, mesh: MeshSnapshot): Target {
  const { namespace, name } = placeOf(to);
  const found = findServicePort({ name, namespace, port: portOf(port) }, mesh);
  const targets = 'problem' in found ? found : findTargets(found.service, found.port, mesh);
  if ('problem' in targets) throw new Error(targets.problem);
  const [target] = targets;
  if (target === undefined) throw new Error(`nothing answers for ${to}`);
  return target;
}

interface CallParts {
  readonly from: string;
  readonly port: string;
  readonly mtls: boolean;
  readonly to: Target;
  readonly token: GivenToken | undefined;
}

function callOf(row: BehaviourRow, { from, port, mtls, to, token }: CallParts): Call {
  const { namespace, name } = placeOf(from);
  const identity = parseSpiffeId(`spiffe://cluster.local/ns/${namespace}/sa/${name}`);
  const isGrpc = port === 'grpc';
  const request = {
    method: isGrpc ? 'POST' : row.method,
    target: isGrpc ? GRPC_PATH : row.path,
    host: row.host ?? to.service.host,
    headers: row.headers,
  };
  return {
    from: {
      identity: mtls ? identity : undefined,
      namespace,
      labels: { app: name },
      address: '127.0.0.1',
    },
    to,
    http: port.startsWith('tcp') ? undefined : request,
    token,
  };
}

/** `deny` is a refusal by policy; a token that is no good is answered 401. */
function isWanted({ decision, decidedBy }: Decision, wanted: string): boolean {
  switch (wanted) {
    case 'allow':
    case '200':
      return decision === 'allow';
    case '401':
      return decision === 'deny' && decidedBy.layer === 'token';
    default:
      return decision === 'deny' && decidedBy.layer !== 'token';
  }
}

function askedOf(
  { from, to, http, token }: Call,
  { decidedBy }: Decision,
  authorization: WorkloadAuthorization,
): AskedOfEnvoy | undefined {
  if (token || !['deny', 'allow'].includes(decidedBy.layer)) return undefined;
  const { identity, address } = from;
  const destination = { address: to.workload.address, port: to.workloadPort };
  return { authorization, request: { source: { identity, address }, destination, http } };
}
