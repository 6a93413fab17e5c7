import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import { topologyAt } from '#model/gateway-topology.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { type AuthzFacts, factsOf } from '#policy/authz/request.ts';
import type { BehindGateway, Call, Caller, GivenToken, Target } from '#policy/decide/call.ts';
import { type EnteredGateway, hostName, routesRequests } from '#policy/decide/enter-gateway.ts';
import type { ReceivedRequest } from '#policy/decide/received-request.ts';
import {
  endedAtProxy,
  pathWithQuery,
  type RequestAtProxy,
  waysOf,
  waysOfConnection,
} from '#policy/decide/route-ways.ts';
import type { TokenResult } from '#policy/decide/token.ts';
import { adviceOnUnserved } from '#policy/decide/unbound-routes.ts';
import { boundServices, tcpRoute, tlsRoutes } from '#policy/gateway/bound-services.ts';
import { type GatewayHost, gatewayHosts } from '#policy/gateway/gateway-hosts.ts';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { type BoundServer, serverWay } from '#policy/gateway/gateway-ports.ts';
import { servedHost } from '#policy/gateway/server-hosts.ts';
import { requestMatches } from '#policy/routing/request-match.ts';
import { routePlaceOf } from '#policy/routing/route-place.ts';
import { type ClientRoute, virtualServicesFor } from '#policy/routing/virtual-services.ts';

/** What a gateway that let a call in goes on with. */
export interface EnteredCall {
  readonly entered: EnteredGateway;
  readonly token?: TokenResult;
  readonly received?: ReceivedRequest;
}

/** A route of an object, under one of its conditions. */
interface ServedRoute {
  readonly match?: HttpMatch;
  readonly object: VirtualService;
  readonly route: ClientRoute;
}

const PROXY = 'the gateway';

/**
 * What a gateway makes of a request that its policies let in: a call for every workload that may
 * get it, with the identity of the gateway, and one for each answer that it gives by itself.
 */
export function callsBehind(
  call: Call,
  { entered, token, received }: EnteredCall,
  mesh: MeshSnapshot,
): readonly Call[] {
  const { to, http: sent } = call;
  const { identity, namespace, labels, address } = to.workload;
  const from: Caller = { identity, namespace, labels, address };
  if (sent === undefined || !routesRequests(entered)) return connectionsBehind(call, entered, mesh);
  const headers = received?.headers ?? {};
  const http = {
    ...sent,
    headers,
    ...(sent.host !== undefined && { host: withoutDot(sent.host) }),
  };
  const facts = factsAt(http, to.workloadPort, mesh);
  if (facts === undefined) return [];
  const { number: calledPort } = entered.servers[0]?.server.port ?? { number: to.port.port };
  const at = { called: to, calledPort, proxy: PROXY, via: call };
  const onward = { from, http, token: forwarded(call, token), ...at };
  const host = hostName(http.host ?? '');
  const hosts = servedHosts(entered, from, mesh);
  const served = servedHost(hosts.keys(), host);
  const found = served === undefined ? undefined : hosts.get(served);
  if (!found) {
    const advice = adviceOnUnserved({ host, servers: entered.servers, namespace }, mesh);
    return [unserved(onward, `no route of the gateway is for the host "${host}"`, advice)];
  }
  const scheme = schemeOf(entered, headers, to.workload, mesh);
  if (found.requiresTls && scheme !== 'https') return [redirected(onward)];
  const query = pathWithQuery(facts).slice(facts.path.length + 1);
  const request = { facts, query, scheme, claims: token?.claims };
  const chosen = found.routes.find(({ match }) => !match || requestMatches(match, request));
  if (!chosen) {
    const advice = 'add a route for such requests';
    return [unserved(onward, `no route of the host "${served}" takes such requests`, advice)];
  }
  const { object, route, match } = chosen;
  const ways = waysOf({ object, chosen: { ...route, met: match } }, onward, facts, mesh);
  return meant(ways, onward, call);
}

/** What a gateway makes of a connection: it goes where the first route that can hold says. */
function connectionsBehind(
  call: Call,
  { servers, serverName = '' }: EnteredGateway,
  mesh: MeshSnapshot,
): readonly Call[] {
  const { to } = call;
  const { identity, namespace, labels, address } = to.workload;
  const from: Caller = { identity, namespace, labels, address };
  const [bound] = servers;
  if (!bound) return [];
  const { number: calledPort } = bound.server.port;
  const at = { called: to, calledPort, proxy: PROXY, via: call };
  const onward: RequestAtProxy = { from, http: undefined, token: undefined, ...at };
  const objects = seenByGateways(mesh).virtualServices;
  const services = boundServices(bound, from, objects);
  const found =
    serverWay(bound.server) === 'passed-on'
      ? passedRoute(tlsRoutes(bound, from, services), serverName)
      : tcpRoute(bound, from, services);
  if (found) {
    const field = 'serverNames' in found ? 'spec.tls' : 'spec.tcp';
    return meant(waysOfConnection({ ...found, field }, onward, mesh), onward, call);
  }
  const reason = 'no route of the gateway takes such connections, so none is taken';
  const advice = `name ${bound.gateway} among \`gateways\` of a VirtualService with such a route`;
  const said = { outcome: 'deny', reason } as const;
  return [endedAtProxy(onward, said, { answer: 'the connection is closed', advice })];
}

type TlsRoute = ReturnType<typeof tlsRoutes>[number];

/** Each name belongs to the first route that has it. */
function passedRoute(routes: readonly TlsRoute[], serverName: string): TlsRoute | undefined {
  const found = servedHost(
    routes.flatMap(({ serverNames }) => serverNames),
    serverName,
  );
  return routes.find(({ serverNames }) => found !== undefined && serverNames.includes(found));
}

/** By what gateways serve, as their proxies get it. */
function servedHosts(
  { servers }: Pick<EnteredGateway, 'servers'>,
  client: Caller,
  mesh: MeshSnapshot,
): ReadonlyMap<string, GatewayHost<ServedRoute>> {
  const { virtualServices, settings } = seenByGateways(mesh);
  const objects = virtualServicesFor(client, virtualServices, settings);
  return gatewayHosts<ServedRoute>(servers, { client, virtualServices }, (object, at) =>
    objects.routesOf(object, at.port, at.gateway).flatMap((route): readonly ServedRoute[] => {
      if (route.match.length === 0) return [{ object, route }];
      return route.match.map((match) => ({ object, route, match }));
    }),
  );
}

/** Requests that a server of a gateway leads to a port of a service. */
export interface LedRequests {
  readonly host: string;
  /** Absent = every request for the host. */
  readonly match?: HttpMatch | undefined;
  readonly service: Service;
  readonly port: ServicePort;
}

/** Where the routes of a server lead requests, in the order of its hosts and of their routes. */
export function destinationsAt(
  bound: BoundServer,
  client: Caller,
  mesh: MeshSnapshot,
): readonly LedRequests[] {
  const scope = { view: mesh.services.viewOf(client.namespace), settings: mesh.settings };
  const { number: calledPort } = bound.server.port;
  const way = serverWay(bound.server);
  if (!routesRequests({ way })) return [];
  return [...servedHosts({ servers: [bound] }, client, mesh)].flatMap(
    ([host, { routes, requiresTls }]) =>
      (requiresTls && way === 'http' ? [] : routes).flatMap(({ object, route, match }) =>
        (route.route.route ?? []).flatMap(({ destination }) => {
          const namespace = object.metadata.namespace ?? '';
          const place = routePlaceOf(destination, { namespace, calledPort }, scope);
          return place ? [{ host, match, service: place.service, port: place.port }] : [];
        }),
      ),
  );
}

/**
 * A host under which a gateway leads requests to a service, for callers who do not say one;
 * undefined where none does. Names stand for what only a wildcard serves.
 */
export function hostLeadingTo(
  { service, port }: BehindGateway,
  { entrance, workload }: Target,
  mesh: MeshSnapshot,
): string | undefined {
  const { namespace, labels, identity } = workload;
  const client = { namespace, labels, identity, address: '' };
  const found = (entrance?.servers ?? [])
    .flatMap((bound) => destinationsAt(bound, client, mesh))
    .filter((led) => led.service === service && (!port || led.port.port === port.port))
    .map(({ host }) => host);
  const best = found.find((host) => !host.startsWith('*')) ?? found[0];
  if (best === '*') return service.host;
  return best?.replace(/^\*\.?/, 'any.');
}

function factsAt(
  http: NonNullable<Call['http']>,
  port: number,
  { settings }: MeshSnapshot,
): AuthzFacts | undefined {
  const request = { source: { address: '' }, destination: { port }, http };
  return factsOf(request, settings.pathNormalization, settings.hardening);
}

function withoutDot(host: string): string {
  return host.replace(/\.(?=:\d*$|$)/, '');
}

/** What is left of a token that the gateway verified: rules say whether it is passed on. */
function forwarded({ token }: Call, judged: TokenResult | undefined): GivenToken | undefined {
  return judged?.rule === undefined || judged.rule.forwards ? token : undefined;
}

/** Proxies that are trusted say how the request came to them. */
function schemeOf(
  { way }: EnteredGateway,
  headers: ReceivedRequest['headers'],
  gateway: Workload,
  { settings }: MeshSnapshot,
): string {
  const [told] = headers['x-forwarded-proto'] ?? [];
  const isTrusted = topologyAt(gateway, settings).trustedProxies > 0;
  return isTrusted && told !== undefined ? told.toLowerCase() : way;
}

function unserved(request: RequestAtProxy, reason: string, advice: string): Call {
  const said = { outcome: 'deny', reason } as const;
  return endedAtProxy(request, said, { answer: `404 from ${PROXY}`, advice });
}

function redirected(request: RequestAtProxy): Call {
  const reason = 'the server sends plaintext to HTTPS (httpsRedirect)';
  const advice = 'call by HTTPS';
  const said = { outcome: 'deny', reason } as const;
  return endedAtProxy(request, said, { answer: `301 from ${PROXY}`, advice });
}

/** Where no way leads to the service that is meant, it cannot be reached so. */
function meant(ways: readonly Call[], request: RequestAtProxy, { behind }: Call): readonly Call[] {
  if (!behind) return ways;
  const { service, port } = behind;
  const isMeant = ({ to, route }: Call): boolean =>
    route?.answer === undefined &&
    to.service.host === service.host &&
    (port === undefined || to.port.port === port.port);
  if (ways.some(isMeant)) return ways;
  const name = `${service.namespace}/${service.name}${port ? `:${port.port}` : ''}`;
  return ways.map((way) => {
    const { layer, answer } = way.route ?? {};
    if (!layer || answer !== undefined) return way;
    const { service: other } = way.to;
    const reason = `${layer.reason}, and not to ${name}`;
    const said = { ...layer, outcome: 'deny', reason } as const;
    const got = `what ${other.namespace}/${other.name} answers`;
    return endedAtProxy(request, said, { answer: got, advice: 'ask for another host or path' });
  });
}
