import { BlockList } from 'node:net';
import type { SimulatedCall } from './call.ts';
import type { EnvoyListener, FilterChain, FilterChainMatch } from './envoy-json.ts';

/** What the listener filters found out about a connection. */
export interface Inspected {
  readonly transport: 'tls' | 'raw_buffer';
  readonly alpn: string;
  readonly sni: string;
}

/** What the inspectors of a listener see of a call. */
export function inspect(listener: EnvoyListener, call: SimulatedCall): Inspected {
  const readsTls = hasFilter(listener, 'envoy.filters.listener.tls_inspector', call.port);
  const readsHttp = hasFilter(listener, 'envoy.filters.listener.http_inspector', call.port);
  if (call.tls === 'plaintext') {
    const seen = { http: 'http/1.1', http2: 'h2c', tcp: '' }[call.protocol];
    return { transport: 'raw_buffer', alpn: readsHttp ? seen : '', sni: '' };
  }
  if (!readsTls) return { transport: 'raw_buffer', alpn: '', sni: '' };
  return { transport: 'tls', alpn: call.alpn, sni: call.sni.toLowerCase() };
}

function hasFilter(listener: EnvoyListener, name: string, port: number): boolean {
  return (listener.listener_filters ?? []).some(
    (filter) => filter.name === name && !isDisabled(filter.filter_disabled, port),
  );
}

/** A predicate under which a listener filter is left out. */
interface Predicate {
  readonly destination_port_range?: { readonly start: number; readonly end: number };
  readonly or_match?: { readonly rules: readonly Predicate[] };
  readonly not_match?: Predicate;
  readonly and_match?: { readonly rules: readonly Predicate[] };
  readonly any_match?: boolean;
}

function isDisabled(predicate: Predicate | undefined, port: number): boolean {
  if (predicate === undefined) return false;
  const { destination_port_range: range, or_match: or, and_match: and } = predicate;
  if (predicate.any_match) return true;
  if (range) return range.start <= port && port < range.end;
  if (or) return or.rules.some((one) => isDisabled(one, port));
  if (and) return and.rules.every((one) => isDisabled(one, port));
  return predicate.not_match !== undefined && !isDisabled(predicate.not_match, port);
}

/**
 * The steps by which Envoy finds the chain of a connection (FilterChainMatch): at each only the
 * chains with the best match go on, and those that say nothing when none matches. How good a match
 * is: greater is better, 0 = it says nothing, undefined = it says something else.
 */
const STEPS: readonly ((
  match: FilterChainMatch,
  call: SimulatedCall,
  seen: Inspected,
) => number | undefined)[] = [
  ({ destination_port: port }, call) => said(port, port === call.port),
  ({ prefix_ranges: ranges = [] }, call) => {
    const fitting = ranges.filter((range) => contains(range, call.address));
    if (ranges.length === 0) return 0;
    return fitting.length === 0 ? undefined : Math.max(...fitting.map(lengthOf)) + 1;
  },
  ({ server_names: names = [] }, _, { sni }) => {
    if (names.length === 0) return 0;
    const fitting = names.filter((name) => isServerName(name, sni));
    return fitting.length === 0 ? undefined : Math.max(...fitting.map(rateServerName));
  },
  ({ transport_protocol: wanted }, _, { transport }) =>
    said(wanted || undefined, wanted === transport),
  ({ application_protocols: wanted = [] }, _, { alpn }) =>
    wanted.length === 0 ? 0 : wanted.includes(alpn) ? 1 : undefined,
];

function said(value: unknown, matches: boolean): number | undefined {
  if (value === undefined) return 0;
  return matches ? 1 : undefined;
}

type Range = NonNullable<FilterChainMatch['prefix_ranges']>[number];

function lengthOf({ prefix_len: length = 0 }: Range): number {
  return length;
}

function contains(range: Range, address: string): boolean {
  const list = new BlockList();
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  if (range.address_prefix.includes(':') !== (family === 'ipv6')) return false;
  list.addSubnet(range.address_prefix, lengthOf(range), family);
  return list.check(address, family);
}

/** A whole name is better than any `*.x`. */
function rateServerName(name: string): number {
  return name.startsWith('*.') ? name.length : SERVER_NAME_LENGTH_MAX;
}

/** A name of DNS has at most 253 characters. */
const SERVER_NAME_LENGTH_MAX = 254;

function isServerName(name: string, sni: string): boolean {
  return name.startsWith('*.') ? sni.endsWith(name.slice(1)) : name === sni;
}

/** The chain that takes a connection, or why there is none. */
export function matchFilterChain(
  listener: EnvoyListener,
  call: SimulatedCall,
  seen: Inspected,
): FilterChain | 'ErrNoFilterChain' | 'ErrMultipleFilterChain' {
  let chains = listener.filter_chains ?? [];
  for (const step of STEPS) {
    const rated = chains.map(
      (chain) => [chain, step(chain.filter_chain_match ?? {}, call, seen)] as const,
    );
    const best = Math.max(...rated.map(([, rate]) => rate ?? -1));
    chains = rated.filter(([, rate]) => rate === best).map(([chain]) => chain);
  }
  const [first, ...others] = chains;
  if (others.length > 0) return 'ErrMultipleFilterChain';
  return first ?? listener.default_filter_chain ?? 'ErrNoFilterChain';
}
