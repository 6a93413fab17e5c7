import {
  type CallRead,
  type CallSpelling,
  readHttp,
  readTarget,
  usage,
} from '#cli/calls/call-spelling.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { BehindGateway, Call, Caller, Target } from '#policy/decide/call.ts';
import { hostLeadingTo } from '#policy/decide/calls-behind.ts';
import { findGateway, isSecured, portServing } from '#policy/decide/find-gateways.ts';
import { findService, findServicePort } from '#policy/decide/find-targets.ts';

/**
 * Finds what a user means by a call through a gateway: one call for each of its workloads.
 * @param namespace of a gateway or service that is named without one
 * @throws BulwarkError CLI_USAGE for names that are not there and words that mean nothing
 */
export function readCallThrough(
  spelling: CallSpelling & { readonly through: string },
  from: Caller,
  mesh: MeshSnapshot,
  namespace: string,
): CallRead {
  const { token, ...asked } = spelling;
  const gateway = findGateway({ ...readTarget(spelling.through), namespace }, mesh);
  if ('problem' in gateway) throw usage(gateway.problem, gateway.remedy);
  const behind = readBehind(spelling, mesh, namespace);
  const bySafety = [...gateway.targets].sort((a, b) => Number(isSecured(b)) - Number(isSecured(a)));
  const leading = behind && bySafety.map((one) => hostLeadingTo(behind, one, mesh)).find(Boolean);
  const host = spelling.host ?? leading ?? behind?.service.host ?? '';
  const { targets, notes } = portServing(gateway, host);
  const isHostSaid = spelling.host !== undefined || targets.every(({ port }) => !isHttp(port));
  const said = isHostSaid ? notes : [...notes, `asked for the host ${host}: --host says another`];
  const calls = targets.map((to): Call => {
    const http = readRequest({ ...asked, token }, to, host);
    return { from, to, http, token, ...(behind && { behind }) };
  });
  return { calls, notes: [...said, ...targets.slice(0, 1).flatMap(assumption)] };
}

function isHttp(port: Target['port']): boolean {
  return PROTOCOLS[port.protocol].handling === 'http';
}

function readBehind(
  { to }: CallSpelling,
  mesh: MeshSnapshot,
  namespace: string,
): BehindGateway | undefined {
  if (to === undefined) return undefined;
  const target = { ...readTarget(to), namespace };
  if (target.port === undefined) {
    const service = findService(target, mesh);
    if ('problem' in service) throw usage(service.problem, service.remedy);
    return { service, port: undefined };
  }
  const found = findServicePort(target, mesh);
  if ('problem' in found) throw usage(found.problem, found.remedy);
  return found;
}

/** Where servers are told apart by name, a connection that is led on is for a host as well. */
function readRequest(spelling: CallSpelling, to: Target, host: string): Call['http'] {
  const { service, port } = to;
  const name = `${service.namespace}/${service.name}`;
  if (isHttp(port)) return readHttp({ ...spelling, host }, name, 'http', port.port);
  if (!isSecured(to)) return readHttp(spelling, name, 'tcp', port.port);
  readHttp({ ...spelling, host: undefined }, name, 'tcp', port.port);
  return { method: '', target: '/', host };
}

function assumption({ service, assumed }: Target): readonly string[] {
  if (assumed !== 'group') return [];
  const name = `${service.namespace}/${service.name}`;
  return [`no workload of the gateway ${name} runs: its WorkloadGroup stands for it`];
}
