import type { AccessRecord, TrafficRow } from '#admin/audit.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Call, Caller, Target } from '#policy/decide/call.ts';
import { callersOf } from '#policy/decide/callers.ts';
import { Decider } from '#policy/decide/decider.ts';
import type { Decision } from '#policy/decide/decision.ts';
import { gatewayTargets } from '#policy/decide/find-gateways.ts';
import { targetsOf } from '#policy/decide/find-targets.ts';
import { parseWorkloadId, type SpiffeId } from '#spiffe/spiffe-id.ts';

/** Calls of one kind that were allowed when they were made. */
export interface ReplayedCalls {
  readonly row: TrafficRow;
  /** How many there were, about. */
  readonly calls: number;
}

/** Calls that would be denied, and why. */
export interface WouldDeny extends ReplayedCalls {
  readonly decision: Decision;
}

/** What became of recorded calls when they were tried again. */
export interface Replay {
  readonly denied: readonly WouldDeny[];
  readonly allowed: readonly ReplayedCalls[];
  /** Their workload or port is not there any more. */
  readonly gone: readonly ReplayedCalls[];
  /** As recorded they are denied by the policies of now, too. */
  readonly deniedNow: readonly ReplayedCalls[];
  /** Providers that would be asked about some of them, and may say no. */
  readonly asks: readonly string[];
}

/** Tries calls in a mesh as it is, and as it would be. `nowMs`: milliseconds since 1970. */
export function replay(
  calls: readonly ReplayedCalls[],
  { before, after }: { readonly before: MeshSnapshot; readonly after: MeshSnapshot },
  nowMs: number,
): Replay {
  const [now, then] = [new Trial(before, nowMs), new Trial(after, nowMs)];
  const denied: WouldDeny[] = [];
  const allowed: ReplayedCalls[] = [];
  const gone: ReplayedCalls[] = [];
  const deniedNow: ReplayedCalls[] = [];
  const asks = new Set<string>();
  for (const one of calls) {
    const [first, second] = [now.decide(one.row), then.decide(one.row)];
    if (!first || !second) gone.push(one);
    else if (first.decision === 'deny') deniedNow.push(one);
    else if (second.decision === 'deny') denied.push({ ...one, decision: second });
    else allowed.push(one);
    for (const provider of second?.asks ?? []) asks.add(provider);
  }
  denied.sort((a, b) => b.calls - a.calls);
  return { denied, allowed, gone, deniedNow, asks: [...asks].sort() };
}

/** Decides about recorded calls in one mesh. */
class Trial {
  readonly #decider: Decider;
  readonly #nowMs: number;
  readonly #targets: ReadonlyMap<string, Target>;
  readonly #callers: ReadonlyMap<string, Caller>;

  constructor(mesh: MeshSnapshot, nowMs: number) {
    this.#decider = new Decider(mesh);
    this.#nowMs = nowMs;
    this.#targets = targetIndex(mesh);
    this.#callers = new Map(callersOf(mesh).map((caller) => [caller.identity, caller]));
  }

  /** Undefined when what was called is not there. */
  decide(row: TrafficRow): Decision | undefined {
    const { workload, port } = row;
    const names = [`${workload.namespace}/${workload.name}`, workload.identity];
    const to = names.map((name) => this.#targets.get(`${name}:${port}`)).find(Boolean);
    if (!to) return undefined;
    return this.#decider.decide(this.#callOf(row, to), this.#nowMs);
  }

  #callOf(row: TrafficRow, to: Target): Call {
    const { caller, callerAddress = '', protocol, method = 'GET', path = '/', host, endUser } = row;
    const identity = caller as SpiffeId | undefined;
    const known = this.#callers.get(caller ?? '');
    const namespace = (identity && parseWorkloadId(identity)?.namespace) ?? '';
    // A gateway took the connection: whatever certificate it asks for was there.
    const certificate = to.entrance && identity === undefined ? '' : undefined;
    const labels = known?.labels ?? {};
    const from = { identity, namespace, labels, address: callerAddress, certificate };
    return {
      from,
      to,
      http: protocol === 'tcp' ? undefined : { method, target: path, host },
      token: endUser && { claims: { iss: endUser.issuer, sub: endUser.subject } },
    };
  }
}

/** Targets by workload and port, and by identity and port: names of workloads come and go. */
function targetIndex(mesh: MeshSnapshot): ReadonlyMap<string, Target> {
  const index = new Map<string, Target>();
  const behind = mesh.services
    .all()
    .flatMap((service) => service.ports.flatMap((port) => targetsOf(service, port, mesh)));
  // A Service before a gateway has its ports, too: what counts there is that it is a gateway.
  for (const target of [...gatewayTargets(mesh), ...behind]) {
    const { workload, workloadPort } = target;
    const names = [`${workload.namespace}/${workload.name}`, workload.identity ?? ''];
    for (const name of names) {
      const key = `${name}:${workloadPort}`;
      if (!index.has(key)) index.set(key, target);
    }
  }
  return index;
}

/** Records of allowed calls as calls of one kind each; what is recorded is recorded whole. */
export function callsOfRecords(records: readonly AccessRecord[]): readonly ReplayedCalls[] {
  const found = new Map<string, ReplayedCalls>();
  for (const record of records) {
    const { workload, protocol, port, caller, callerAddress, endUser, method, host, path } = record;
    const key = kindOfCall(record);
    const calls = (found.get(key)?.calls ?? 0) + 1;
    const call = { workload, protocol, port, caller, callerAddress, endUser, method, host, path };
    const row = { ...call, hour: record.at, pattern: path, seen: calls, percent: 100 };
    found.set(key, { row, calls });
  }
  return [...found.values()];
}

/** Rows of a sample; each stands for more calls than were seen. */
export function callsOfSample(rows: readonly TrafficRow[]): readonly ReplayedCalls[] {
  return rows.map((row) => ({ row, calls: Math.round((row.seen * 100) / row.percent) }));
}

/** Both together; of what is in both the larger number counts. */
export function mergedCalls(
  sample: readonly ReplayedCalls[],
  records: readonly ReplayedCalls[],
): readonly ReplayedCalls[] {
  const found = new Map(sample.map((one) => [kindOfCall(one.row), one]));
  for (const one of records) {
    const key = kindOfCall(one.row);
    const calls = Math.max(one.calls, found.get(key)?.calls ?? 0);
    found.set(key, { row: found.get(key)?.row ?? one.row, calls });
  }
  return [...found.values()];
}

function kindOfCall(call: Partial<TrafficRow> & Pick<TrafficRow, 'workload'>): string {
  const { workload, protocol, port, caller, callerAddress, endUser, method, host, path } = call;
  const called = [workload.namespace, workload.name, port, protocol];
  return JSON.stringify([called, caller ?? callerAddress, endUser, method, host, path]);
}
