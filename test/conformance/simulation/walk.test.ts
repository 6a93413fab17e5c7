// The walker goes through hand-made resources as Envoy goes through its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeCall, type WrittenCall } from './call.ts';
import type { EnvoyListener, FilterChain, FilterChainMatch, VirtualHost } from './envoy-json.ts';
import { walk } from './walk.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.network';
const TLS_INSPECTOR = { name: 'envoy.filters.listener.tls_inspector' };
const HTTP_INSPECTOR = { name: 'envoy.filters.listener.http_inspector' };

/** A chain that sends every connection to a cluster of its own name. */
function chain(name: string, match: FilterChainMatch = {}, more: Partial<FilterChain> = {}) {
  const typed_config = { '@type': `${TYPE}.tcp_proxy.v3.TcpProxy`, cluster: name };
  const filters = [{ name: 'tcp', typed_config }];
  return { name, filter_chain_match: match, filters, ...more } satisfies FilterChain;
}

function http(hosts: readonly VirtualHost[]): FilterChain {
  const typed_config = {
    '@type': `${TYPE}.http_connection_manager.v3.HttpConnectionManager`,
    route_config: { name: 'routes', virtual_hosts: hosts },
  };
  return { name: 'http', filters: [{ name: 'http', typed_config }] };
}

function inbound(chains: readonly FilterChain[], more: Partial<EnvoyListener> = {}) {
  const listener_filters = [TLS_INSPECTOR, HTTP_INSPECTOR];
  return { name: 'virtualInbound', filter_chains: chains, listener_filters, ...more };
}

function result(listener: EnvoyListener, call: Partial<WrittenCall>) {
  const whole = completeCall({ port: 80, callMode: 'inbound', ...call });
  return walk({ listener: [listener], route: [] }, whole);
}

const outcome = (listener: EnvoyListener, call: Partial<WrittenCall>) => {
  const { error, clusterMatched } = result(listener, call);
  return error ?? clusterMatched;
};

test('a port, then a transport, then a protocol decide; what is said beats what is not', () => {
  const listener = inbound([
    chain('port', { destination_port: 80 }),
    chain('tls', { destination_port: 81, transport_protocol: 'tls' }),
    chain('istio', {
      destination_port: 81,
      transport_protocol: 'tls',
      application_protocols: ['istio'],
    }),
    chain('any'),
  ]);
  assert.equal(outcome(listener, {}), 'port');
  assert.equal(outcome(listener, { port: 81, tls: 'mtls' }), 'istio');
  assert.equal(outcome(listener, { port: 81, tls: 'tls' }), 'tls');
  assert.equal(outcome(listener, { port: 82, tls: 'tls' }), 'any');
});

test('from a chain that fits better there is no way back to one that fits less', () => {
  const http = chain('http', { transport_protocol: 'raw_buffer', application_protocols: ['h2c'] });
  const listener = inbound([http, chain('any')]);
  assert.equal(outcome(listener, { protocol: 'http2' }), 'http');
  assert.equal(outcome(listener, {}), 'ErrNoFilterChain');
  assert.equal(outcome({ ...listener, default_filter_chain: chain('default') }, {}), 'default');
});

test('two chains that fit as well are an error', () => {
  assert.equal(outcome(inbound([chain('a'), chain('b')]), {}), 'ErrMultipleFilterChain');
});

test('without its inspector nothing is known of TLS, and of HTTP', () => {
  const match = { application_protocols: ['http/1.1'] };
  const chains = [chain('tls', { transport_protocol: 'tls' }), chain('http', match), chain('any')];
  const none = inbound(chains, { listener_filters: [] });
  assert.equal(outcome(none, { tls: 'mtls' }), 'any');
  assert.equal(outcome(none, { protocol: 'http' }), 'any');
  const disabled = { destination_port_range: { start: 80, end: 81 } } as unknown as never;
  const listener_filters = [{ ...TLS_INSPECTOR, filter_disabled: disabled }, HTTP_INSPECTOR];
  const some = inbound(chains, { listener_filters });
  assert.equal(outcome(some, { tls: 'mtls' }), 'any');
  assert.equal(outcome(some, { port: 81, tls: 'mtls' }), 'tls');
  assert.equal(outcome(some, { protocol: 'http' }), 'http');
});

test('the longest server name and the longest range count', () => {
  const names = inbound([
    chain('exact', { server_names: ['a.x.test'] }),
    chain('long', { server_names: ['*.x.test'] }),
    chain('short', { server_names: ['*.test'] }),
  ]);
  const sni = (name: string) => outcome(names, { tls: 'tls', sni: name });
  assert.equal(sni('a.x.test'), 'exact');
  assert.equal(sni('b.x.test'), 'long');
  assert.equal(sni('b.y.test'), 'short');
  assert.equal(sni('other'), 'ErrNoFilterChain');
  const range = (prefix_len: number) => ({
    prefix_ranges: [{ address_prefix: '10.0.0.0', prefix_len }],
  });
  const ranges = inbound([chain('eight', range(8)), chain('sixteen', range(16)), chain('any')]);
  const to = (address: string) => outcome(ranges, { address });
  assert.equal(to('10.0.1.1'), 'sixteen');
  assert.equal(to('10.1.1.1'), 'eight');
  assert.equal(to('11.1.1.1'), 'any');
});

test('TLS is as the chain wants it', () => {
  const socket = (require_client_certificate: boolean) => ({
    transport_socket: { typed_config: { require_client_certificate } },
  });
  const mutual = inbound([chain('mutual', {}, socket(true))]);
  assert.equal(outcome(mutual, { tls: 'mtls' }), 'mutual');
  assert.equal(outcome(mutual, { tls: 'tls' }), 'ErrMTLSError');
  assert.equal(outcome(mutual, { tls: 'plaintext' }), 'ErrTLSError');
  assert.equal(
    outcome(inbound([chain('tls', {}, socket(false))]), { tls: 'mtls' }),
    'ErrMTLSError',
  );
  const plain = inbound([http([])]);
  assert.equal(outcome(plain, { tls: 'tls', protocol: 'http' }), 'ErrProtocolError');
  assert.equal(outcome(plain, { protocol: 'tcp' }), 'ErrProtocolError');
});

test('hosts and routes: the narrowest host, the first route', () => {
  const host = (name: string, domains: string[], more: Partial<VirtualHost> = {}): VirtualHost => ({
    name,
    domains,
    routes: [
      { match: { path: '/exact' }, route: { cluster: `${name}-exact` } },
      { match: { safe_regex: { regex: '/r[0-9]' } }, route: { cluster: `${name}-regex` } },
      { match: { path_separated_prefix: '/s' }, route: { cluster: `${name}-separated` } },
      {
        match: { prefix: '/', headers: [{ name: 'x', string_match: { exact: '1' } }] },
        route: { cluster: `${name}-header` },
      },
    ],
    ...more,
  });
  const listener = inbound([
    http([
      host('any', ['*']),
      host('end', ['*.b.test']),
      host('begin', ['a.*']),
      host('whole', ['a.b.test']),
      host('secure', ['tls.test'], { require_tls: 'ALL' }),
    ]),
  ]);
  const ask = (hostHeader: string, path: string, x?: string) =>
    outcome(listener, {
      protocol: 'http',
      hostHeader,
      path,
      ...(x === undefined ? {} : { headers: { x: [x] } }),
    });
  assert.equal(ask('A.b.test', '/exact?q'), 'whole-exact');
  assert.equal(ask('c.b.test', '/exact'), 'end-exact');
  assert.equal(ask('a.c.test', '/exact'), 'begin-exact');
  assert.equal(ask('other', '/exact'), 'any-exact');
  assert.equal(ask('other', '/r1'), 'any-regex');
  assert.equal(ask('other', '/s/x'), 'any-separated');
  assert.equal(ask('other', '/sx'), 'ErrNoRoute');
  assert.equal(ask('other', '/sx', '1'), 'any-header');
  assert.equal(ask('other', '/sx', '2'), 'ErrNoRoute');
  assert.equal(ask('tls.test', '/exact'), 'ErrTLSRedirect');
  assert.equal(outcome(inbound([http([])]), { protocol: 'http' }), 'ErrNoVirtualHost');
});

test('an outbound call comes to its address and port, to any address, or to the listener for all', () => {
  const at = (name: string, address: string, port_value: number): EnvoyListener => ({
    name,
    address: { socket_address: { address, port_value } },
    filter_chains: [chain(name)],
  });
  const listener = [
    at('virtualOutbound', '0.0.0.0', 15_001),
    at('own', '10.0.0.1', 80),
    at('all', '0.0.0.0', 80),
  ];
  const to = (address: string, port: number) =>
    walk({ listener, route: [] }, completeCall({ address, port, callMode: 'outbound' }));
  assert.equal(to('10.0.0.1', 80).listenerMatched, 'own');
  assert.equal(to('10.0.0.2', 80).listenerMatched, 'all');
  assert.equal(to('10.0.0.2', 81).listenerMatched, 'virtualOutbound');
  assert.deepEqual(walk({ listener: [], route: [] }, completeCall({ port: 1 })), {
    error: 'ErrNoListener',
  });
});
