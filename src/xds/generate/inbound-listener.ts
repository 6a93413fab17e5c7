import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
  type ListenerFilterChainMatchPredicateSchema,
  ListenerFilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_pb.js';
import { HttpInspectorSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { OriginalDstSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { TlsInspectorSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import { PROTOCOLS } from '#model/protocol.ts';
import {
  type LoggedRequests,
  plaintextLog,
  refusedConnectionLog,
} from '#xds/generate/access-log.ts';
import {
  asksForTls,
  type InboundContext,
  type InboundPort,
  inboundChains,
} from '#xds/generate/inbound-chains.ts';
import { CLUSTER_NAMES, REDIRECT_PORTS } from '#xds/generate/naming.ts';
import { duration, type Init, socketAddress, typedConfig } from '#xds/generate/proto-values.ts';
import { tcpProxy } from '#xds/generate/tcp-proxy.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** The listener of one port in explicit mode. Plain JSON values: it is a cache key. */
export interface ExplicitInboundInput {
  readonly address: string;
  readonly listen: number;
  readonly port: InboundPort & { readonly port: number };
  readonly context: InboundContext;
}

/**
 * The one listener of a workload whose traffic is redirected. Plain JSON values: it is a cache key.
 */
export interface VirtualInboundInput {
  /** Sorted by port, each once. */
  readonly ports: readonly (InboundPort & { readonly port: number })[];
  /** What holds for all other ports. */
  readonly other: InboundPort;
  readonly context: InboundContext;
}

/**
 * How long a caller's first bytes are waited for. The short time is for ports that may also carry
 * plaintext in which the server speaks first: such a caller is silent, and is let through when the
 * time is over. It does not depend on modes: a change of more than filter chains would drain every
 * connection of the listener.
 */
const FIRST_BYTES_MS = { short: 1000, long: 15_000 } as const;

/**
 * The listener of one application port: nothing is redirected, so peers connect to it. Agents
 * choose its port among free ones, and have to hear when another process was quicker: with
 * `SO_REUSEPORT`, which Envoy sets otherwise, two Envoys of a user would share the port and its
 * connections.
 */
export function buildExplicitInbound(input: ExplicitInboundInput): XdsResource {
  const { address, listen, port, context } = input;
  const { handling } = PROTOCOLS[port.protocol];
  return resource(`inbound_${port.port}`, port.port, {
    address: socketAddress(address, listen),
    enableReusePort: false,
    listenerFilters: [
      ...(asksForTls(port) ? [tlsInspector([])] : []),
      ...(handling === 'sniffed' ? [httpInspector([])] : []),
    ],
    ...firstBytes(handling === 'http' ? 'long' : 'short'),
    filterChains: inboundChains(port, context, false),
  });
}

/** Takes every connection that redirection brings from outside, whatever port it was meant for. */
export function buildVirtualInbound(input: VirtualInboundInput): XdsResource {
  const { ports, other, context } = input;
  const portsThat = (matches: (port: InboundPort) => boolean): readonly number[] =>
    ports.filter(matches).map(({ port }) => port);
  return resource('virtualInbound', 0, {
    address: socketAddress('0.0.0.0', REDIRECT_PORTS.inbound),
    listenerFilters: [
      ORIGINAL_DESTINATION,
      tlsInspector(portsThat((port) => !asksForTls(port))),
      httpInspector(portsThat(({ protocol }) => PROTOCOLS[protocol].handling === 'tcp')),
    ],
    ...firstBytes('short'),
    filterChains: [
      toItself(context.accessLog),
      ...ports.flatMap((port) => inboundChains(port, context, true)),
      ...inboundChains(other, context, true),
    ],
  });
}

function resource(name: string, logPort: number, init: Init<typeof ListenerSchema>): XdsResource {
  const listener = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.INBOUND,
    accessLog: [refusedConnectionLog({ direction: 'inbound', port: logPort }), plaintextLog('end')],
    ...init,
  });
  return encodeResource(TYPE_URL.listener, name, ListenerSchema, listener);
}

function firstBytes(time: keyof typeof FIRST_BYTES_MS): Init<typeof ListenerSchema> {
  return {
    listenerFiltersTimeout: duration(FIRST_BYTES_MS[time]),
    continueOnListenerFiltersTimeout: true,
  };
}

/**
 * A connection made to the listener's own port was not redirected: nobody but an attacker makes
 * one.
 */
function toItself(accessLog: LoggedRequests): FilterChain {
  const port = REDIRECT_PORTS.inbound;
  return create(FilterChainSchema, {
    name: 'virtualInbound-blackhole',
    filterChainMatch: { destinationPort: port },
    filters: [
      tcpProxy({
        cluster: CLUSTER_NAMES.blackHole,
        source: { direction: 'inbound', port },
        accessLog,
        waitsForCaller: false,
      }),
    ],
  });
}

const ORIGINAL_DESTINATION: ListenerFilter = create(ListenerFilterSchema, {
  name: 'envoy.filters.listener.original_dst',
  configType: typedConfig(OriginalDstSchema, {}),
});

function tlsInspector(disabledPorts: readonly number[]): ListenerFilter {
  return create(ListenerFilterSchema, {
    name: 'envoy.filters.listener.tls_inspector',
    configType: typedConfig(TlsInspectorSchema, {}),
    ...disabledOn(disabledPorts),
  });
}

function httpInspector(disabledPorts: readonly number[]): ListenerFilter {
  return create(ListenerFilterSchema, {
    name: 'envoy.filters.listener.http_inspector',
    configType: typedConfig(HttpInspectorSchema, {}),
    ...disabledOn(disabledPorts),
  });
}

function disabledOn(ports: readonly number[]): Init<typeof ListenerFilterSchema> {
  const rules = ports.map(
    (port): Init<typeof ListenerFilterChainMatchPredicateSchema> => ({
      rule: { case: 'destinationPortRange', value: { start: port, end: port + 1 } },
    }),
  );
  const [only] = rules;
  if (!only) return {};
  // Envoy refuses a set of one.
  return {
    filterDisabled: rules.length === 1 ? only : { rule: { case: 'orMatch', value: { rules } } },
  };
}
