import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import type { Service } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Caller, Target } from '#policy/decide/call.ts';
import { destinationsAt, type LedRequests } from '#policy/decide/calls-behind.ts';
import { gatewayOf, gatewayTargets } from '#policy/decide/find-gateways.ts';
import { NO_REACH, type Reach } from '#policy/decide/reach.ts';
import { type BoundServer, serverWay } from '#policy/gateway/gateway-ports.ts';

/** A way through a gateway to a port of a service. */
export interface GatewayPassage {
  /** `outside through namespace/name` */
  readonly name: string;
  /** As whom the gateway calls. */
  readonly from: Caller;
  /** What of the gateway takes calls. */
  readonly at: Target;
  readonly server: BoundServer;
  /** What it leads there, in words; none = everything. */
  readonly requests: readonly string[];
}

/** The ways through gateways for who is not in the mesh, by the host and port of a service. */
export function gatewayPassages(mesh: MeshSnapshot): ReadonlyMap<string, GatewayPassage[]> {
  const found = new Map<string, GatewayPassage[]>();
  for (const at of gatewayTargets(mesh)) {
    const { identity, namespace, labels, address } = at.workload;
    const from: Caller = { identity, namespace, labels, address };
    for (const server of at.entrance?.servers ?? []) {
      const name = `outside through ${gatewayOf(server)}`;
      const led = Map.groupBy(destinationsAt(server, from, mesh), ({ service, port }) =>
        passageKey(service, port.port),
      );
      for (const [key, requests] of led) {
        const passages = found.get(key) ?? [];
        const words = [...new Set(requests.map(requestWords))].sort();
        passages.push({ name, from, at, server, requests: words });
        found.set(key, passages);
      }
    }
  }
  return found;
}

/** What passages are found by. */
export function passageKey({ host }: Service, port: number): string {
  return `${host}:${port}`;
}

/**
 * What who is outside reaches on such a way: what the gateway leads there, of that what its
 * policies let in, and of that what the service lets the gateway do.
 */
export function passageReach(
  { server, requests }: GatewayPassage,
  atGateway: Reach,
  atService: Reach,
): Reach {
  const needs = needsOf(server);
  if (needs === undefined || atGateway.reach === 'none' || atService.reach === 'none')
    return NO_REACH;
  const asked = [
    ...(atGateway.only.length > 0 ? [`the gateway lets in ${atGateway.only.join(' or ')}`] : []),
    ...(atService.only.length > 0 ? [`the service lets in ${atService.only.join(' or ')}`] : []),
  ];
  const only = requests.map((words) => [words, ...asked].join(', of which '));
  const except = [...needs, ...atGateway.except, ...atService.except];
  const rules = [...new Set([...atGateway.rules, ...atService.rules])].sort();
  return { reach: 'some', only, except: [...new Set(except)].sort(), rules };
}

/** What a server asks callers for, in words; undefined where none from outside has it. */
function needsOf({ server }: BoundServer): readonly string[] | undefined {
  const { mode } = server.tls ?? {};
  if (serverWay(server) === 'http') return [];
  if (mode === 'ISTIO_MUTUAL') return undefined;
  return mode === 'MUTUAL' ? ['what comes without a certificate'] : [];
}

/** `GET shop.example.com/photos*`; other conditions are named, not written out. */
function requestWords({ host, match = {} }: LedRequests): string {
  const { uri, method, ...others } = match;
  const verb = method?.exact ?? (method ? `${method.prefix ?? method.regex ?? ''}*` : '');
  const more = conditionNames(others);
  const path = pathWords(uri);
  const condition = more.length === 0 ? '' : ` by ${more.join(' and ')}`;
  return `${verb === '' ? '' : `${verb} `}${host}${path}${condition}`;
}

function pathWords(uri: HttpMatch['uri']): string {
  if (uri?.exact !== undefined) return uri.exact;
  if (uri?.regex !== undefined) return ` ~ ${uri.regex}`;
  return `${uri?.prefix ?? '/'}*`;
}

function conditionNames(match: HttpMatch): readonly string[] {
  const { headers, withoutHeaders, queryParams, scheme, authority } = match;
  return [
    ...(headers || withoutHeaders ? ['headers'] : []),
    ...(queryParams ? ['parameters'] : []),
    ...(scheme ? ['scheme'] : []),
    ...(authority ? ['host'] : []),
  ];
}
