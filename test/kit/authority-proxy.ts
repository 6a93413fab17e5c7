import type { TestContext } from 'node:test';
import { startEnvoy } from './envoy.ts';
import { freePort } from './free-port.ts';
import type { TestCertificate } from './test-authority.ts';

/** A proxy that ends mutual TLS before the certificate authority of a mesh. */
export interface AuthorityProxy {
  /** Where the authority listens, HOST:PORT. */
  readonly authority: string;
  /** PEM: what both the authority and callers are verified with. */
  readonly roots: string;
  /** What the proxy shows to callers. */
  readonly shown: TestCertificate;
  /** What becomes of the header of callers (Envoy, `forward_client_cert_details`). */
  readonly headers: 'SANITIZE_SET' | 'APPEND_FORWARD';
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const FILTERS = `${EXTENSIONS}.filters`;
const TLS = `${EXTENSIONS}.transport_sockets.tls.v3`;
const PROTOCOLS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function httpManager(headers: AuthorityProxy['headers']): object {
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'authority', timeout: '0s' } }];
  return {
    '@type': `${FILTERS}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'in',
    codec_type: 'HTTP2',
    forward_client_cert_details: headers,
    set_current_client_cert_details: { uri: true },
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [
      { name: 'router', typed_config: { '@type': `${FILTERS}.http.router.v3.Router` } },
    ],
  };
}

function address(host: string, port: number): object {
  return { socket_address: { address: host, port_value: port } };
}

/** Starts an Envoy that asks callers for certificates and tells the authority of them. */
export async function startAuthorityProxy(
  test: Pick<TestContext, 'after'>,
  { authority, roots, shown, headers }: AuthorityProxy,
): Promise<number> {
  const port = await freePort();
  const [host = '', upstream = ''] = authority.split(':');
  const trusted = { trusted_ca: { inline_string: roots } };
  const own = {
    certificate_chain: { inline_string: shown.certificate },
    private_key: { inline_string: shown.privateKey },
  };
  const downstream = {
    '@type': `${TLS}.DownstreamTlsContext`,
    common_tls_context: {
      alpn_protocols: ['h2'],
      tls_certificates: [own],
      validation_context: trusted,
    },
  };
  const onward = {
    '@type': `${TLS}.UpstreamTlsContext`,
    sni: 'istiod.istio-system.svc',
    common_tls_context: { alpn_protocols: ['h2'], validation_context: trusted },
  };
  const endpoint = { address: address(host, Number(upstream)) };
  const http2 = {
    '@type': `type.googleapis.com/${PROTOCOLS}`,
    explicit_http_config: { http2_protocol_options: {} },
  };
  const envoy = await startEnvoy(test, {
    bootstrap: {
      node: { id: 'before-the-authority', cluster: 'proxies' },
      static_resources: {
        listeners: [
          {
            name: 'in',
            address: address('127.0.0.1', port),
            filter_chains: [
              {
                filters: [{ name: 'http', typed_config: httpManager(headers) }],
                transport_socket: { name: 'tls', typed_config: downstream },
              },
            ],
          },
        ],
        clusters: [
          {
            name: 'authority',
            load_assignment: {
              cluster_name: 'authority',
              endpoints: [{ lb_endpoints: [{ endpoint }] }],
            },
            typed_extension_protocol_options: { [PROTOCOLS]: http2 },
            transport_socket: { name: 'tls', typed_config: onward },
          },
        ],
      },
    },
  });
  await envoy.ready();
  return port;
}
