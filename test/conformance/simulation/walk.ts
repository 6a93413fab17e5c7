import type { SimulatedCall } from './call.ts';
import type { EnvoyListener, FilterChain, FilterConfig, RouteConfiguration } from './envoy-json.ts';
import { inspect, matchFilterChain } from './filter-chain.ts';
import { matchRoute, matchVirtualHost } from './route.ts';

/** Where a call went, as far as it came; fields that it did not reach are absent. */
export interface WalkResult {
  error?: string;
  listenerMatched?: string;
  filterChainMatched?: string;
  routeConfigMatched?: string;
  virtualHostMatched?: string;
  routeMatched?: string;
  clusterMatched?: string;
}

/** The resources of one proxy. */
export interface Resources {
  readonly listener: readonly EnvoyListener[];
  readonly route: readonly RouteConfiguration[];
}

/** Walks a call through the resources of a proxy as Envoy would. */
export function walk({ listener, route }: Resources, call: SimulatedCall): WalkResult {
  const found = matchListener(listener, call);
  if (found === undefined) return { error: 'ErrNoListener' };
  const result: WalkResult = { listenerMatched: found.name };
  const chain = matchFilterChain(found, call, inspect(found, call));
  if (typeof chain === 'string') return { ...result, error: chain };
  if (chain.name !== undefined) result.filterChainMatched = chain.name;
  const refusal = transportProblem(chain, call);
  if (refusal !== undefined) return { ...result, error: refusal };
  const config = (chain.filters ?? []).map(({ typed_config: one }) => one);
  const manager = config.find((one) => isOfType(one, 'HttpConnectionManager'));
  if (manager !== undefined) return { ...result, ...request(manager, chain, route, call) };
  const cluster = config.find((one) => isOfType(one, 'TcpProxy'))?.cluster;
  return cluster === undefined ? result : { ...result, clusterMatched: cluster };
}

/** Inbound calls come to the listener for all; others to address and port, or to any address. */
function matchListener(
  listeners: readonly EnvoyListener[],
  { inbound, address, port }: SimulatedCall,
): EnvoyListener | undefined {
  if (inbound) return listeners.find(({ name }) => name === 'virtualInbound');
  const at = (wanted: string): EnvoyListener | undefined =>
    listeners.find(({ address: bound }) => {
      const { address: host, port_value: number } = bound?.socket_address ?? {};
      return host === wanted && number === port;
    });
  return at(address) ?? at('0.0.0.0') ?? listeners.find(({ name }) => name === 'virtualOutbound');
}

function transportProblem(chain: FilterChain, { tls }: SimulatedCall): string | undefined {
  const { transport_socket: socket } = chain;
  if (socket === undefined) return undefined;
  if (tls === 'plaintext') return 'ErrTLSError';
  const wantsCertificate = socket.typed_config?.require_client_certificate ?? false;
  return wantsCertificate === (tls === 'mtls') ? undefined : 'ErrMTLSError';
}

function isOfType(config: FilterConfig | undefined, name: string): boolean {
  return config?.['@type'].endsWith(`.${name}`) ?? false;
}

function request(
  manager: FilterConfig,
  chain: FilterChain,
  routes: readonly RouteConfiguration[],
  call: SimulatedCall,
): WalkResult {
  const isUnread = call.tls !== 'plaintext' && chain.transport_socket === undefined;
  if (isUnread || call.protocol === 'tcp') return { error: 'ErrProtocolError' };
  const name = manager.rds?.route_config_name;
  const table = manager.route_config ?? routes.find((one) => one.name === name);
  const result: WalkResult = name === undefined ? {} : { routeConfigMatched: name };
  const host = table && matchVirtualHost(table, call.host);
  if (host === undefined) return { ...result, error: 'ErrNoVirtualHost' };
  result.virtualHostMatched = host.name;
  if (host.require_tls === 'ALL' && call.tls === 'plaintext') {
    return { ...result, error: 'ErrTLSRedirect' };
  }
  const taken = matchRoute(host, call);
  if (taken === undefined) return { ...result, error: 'ErrNoRoute' };
  const cluster = taken.route?.cluster;
  return {
    ...result,
    ...(taken.name !== undefined && { routeMatched: taken.name }),
    ...(cluster !== undefined && { clusterMatched: cluster }),
  };
}
