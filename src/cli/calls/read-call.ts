import { isIP } from 'node:net';
import { nearName } from '#api/near-name.ts';
import { isBulwarkError } from '#base/errors.ts';
import {
  type CallRead,
  type CallSpelling,
  OUTSIDE,
  readHttp,
  readTarget,
  usage,
} from '#cli/calls/call-spelling.ts';
import { readCallThrough } from '#cli/calls/read-gateway-call.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Call, Caller } from '#policy/decide/call.ts';
import { type CallerRecord, callersOf } from '#policy/decide/callers.ts';
import { findServicePort, findTargets } from '#policy/decide/find-targets.ts';
import { routedCalls } from '#policy/decide/routed-calls.ts';
import {
  parseSpiffeId,
  parseWorkloadId,
  type SpiffeId,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';

/**
 * Finds what a user means in a mesh.
 * @param namespace of a service that is named without one
 * @throws BulwarkError CLI_USAGE for names that are not there and words that mean nothing
 */
export function readCall(spelling: CallSpelling, mesh: MeshSnapshot, namespace: string): CallRead {
  const { from, notes } = readCaller(spelling, mesh);
  if (spelling.through !== undefined) {
    const read = readCallThrough({ ...spelling, through: spelling.through }, from, mesh, namespace);
    return { calls: read.calls, notes: [...notes, ...read.notes] };
  }
  if (spelling.to === undefined) throw usage('say --to');
  if (spelling.certificate !== undefined)
    throw usage('--certificate is shown to gateways', 'say --through NAMESPACE/GATEWAY');
  const found = findServicePort({ ...readTarget(spelling.to), namespace }, mesh);
  if ('problem' in found) throw usage(found.problem, found.remedy);
  const { service, port } = found;
  const http = readHttp(spelling, service.host, PROTOCOLS[port.protocol].handling, port.port);
  const { token } = spelling;
  if (http !== undefined && spelling.isRouted !== true) {
    const calls = routedCalls({ from, service, port, http, token }, mesh);
    if (calls) return { calls, notes: [...notes, ...calls.slice(0, 1).flatMap(assumption)] };
  }
  const targets = findTargets(service, port, mesh);
  if ('problem' in targets) throw usage(targets.problem, targets.remedy);
  const calls = targets.map((to): Call => ({ from, to, http, token }));
  return { calls, notes: [...notes, ...calls.slice(0, 1).flatMap(assumption)] };
}

/** What was taken for the workload, in words. */
function assumption({ to, route }: Call): readonly string[] {
  const { host } = to.service;
  if (route?.answer !== undefined) return [];
  if (to.assumed === 'group')
    return [`no workload of ${host} runs: its WorkloadGroup stands for them`];
  if (to.assumed === 'selector')
    return [`no workload of ${host} is known: labels are those of its selector`];
  return [];
}

function readCaller({ from, ip, certificate }: CallSpelling, mesh: MeshSnapshot) {
  if (ip !== undefined && isIP(ip) === 0) throw usage(`"${ip}" is no IP address`);
  const notes: string[] = [];
  if (from === OUTSIDE) {
    const nobody = { identity: undefined, namespace: '', labels: {}, address: ip ?? '' };
    return { from: { ...nobody, certificate } satisfies Caller, notes };
  }
  if (certificate !== undefined)
    throw usage(
      `the certificate of ${from} is its own`,
      `say --certificate with --from ${OUTSIDE}`,
    );
  const identity = readIdentity(from, mesh);
  const known = callersOf(mesh);
  const record = known.find((one) => one.identity === identity);
  if (!record && parseWorkloadId(identity)?.trustDomain === mesh.settings.trustDomain)
    notes.push(unknownCaller(from, known));
  const namespace = parseWorkloadId(identity)?.namespace ?? '';
  const { labels = {}, address = '' } = record ?? {};
  return { from: { identity, namespace, labels, address: ip ?? address }, notes };
}

function unknownCaller(from: string, known: readonly CallerRecord[]): string {
  const near = nearName(
    from,
    known.map(({ name }) => name),
  );
  return `nothing in the mesh runs as ${from}${near ? `; did you mean ${near}?` : ''}`;
}

function readIdentity(from: string, { settings }: MeshSnapshot): SpiffeId {
  const [namespace = '', serviceAccount = '', ...more] = from.split('/');
  try {
    if (from.includes('://')) return parseSpiffeId(from);
    if (serviceAccount === '' || more.length > 0)
      throw usage(`"${from}" is no caller`, `write NAMESPACE/ACCOUNT, a SPIFFE id, or ${OUTSIDE}`);
    return workloadSpiffeId({ trustDomain: settings.trustDomain, namespace, serviceAccount });
  } catch (error) {
    if (isBulwarkError(error, 'SPIFFE_INVALID')) throw usage(error.message);
    throw error;
  }
}
