import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startEnvoy } from './envoy.ts';
import { freePort } from './free-port.ts';
import type { MountedSecret } from './mounted-secret.ts';

/** The workload that a mounted Envoy calls, and who it must be. */
export interface MountedPeer {
  readonly address: string;
  readonly port: number;
  readonly identity: string;
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';

/** What Envoy reads of a mounted Secret, as files that it watches. */
function fileSds(directory: string, name: string, value: object): object {
  const path = join(directory, `${name}.json`);
  const type = `${EXTENSIONS}.transport_sockets.tls.v3.Secret`;
  writeFileSync(path, JSON.stringify({ resources: [{ '@type': type, name, ...value }] }));
  return { name, sds_config: { path_config_source: { path }, resource_api_version: 'V3' } };
}

/** Mutual TLS with the mounted key, to the one identity. */
function upstreamTls({ directory, version }: MountedSecret, identity: string): object {
  const file = (name: string) => ({ filename: join(directory, name) });
  const watched = { watched_directory: { path: directory } };
  const outside = join(directory, '..');
  const own = fileSds(outside, `own-${version}`, {
    tls_certificate: {
      certificate_chain: file('cert-chain.pem'),
      private_key: file('key.pem'),
      ...watched,
    },
  });
  const roots = fileSds(outside, `roots-${version}`, {
    validation_context: { trusted_ca: file('root-cert.pem'), ...watched },
  });
  return {
    '@type': `${EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext`,
    sni: 'outbound_.80_._.web.shop.svc.cluster.local',
    common_tls_context: {
      alpn_protocols: ['istio-http/1.1'],
      tls_certificate_sds_secret_configs: [own],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: identity } }],
        },
        validation_context_sds_secret_config: roots,
      },
    },
  };
}

/** Every request to the cluster `web`. */
function httpManager(): object {
  const type = `${EXTENSIONS}.filters`;
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'web' } }];
  return {
    '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'in',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${type}.http.router.v3.Router` },
      },
    ],
  };
}

function address(host: string, port: number): object {
  return { socket_address: { address: host, port_value: port } };
}

/**
 * Starts an Envoy that has no agent: plaintext on loopback in, mutual TLS with the mounted key out
 * to the peer, a handshake for each request. Ends with the test. Gives its port.
 */
export async function startMountedEnvoy(
  test: Pick<TestContext, 'after'>,
  mounted: MountedSecret,
  peer: MountedPeer,
): Promise<number> {
  const port = await freePort();
  const endpoint = { address: address(peer.address, peer.port) };
  const envoy = await startEnvoy(test, {
    bootstrap: {
      node: { id: 'mounted', cluster: 'mounted' },
      static_resources: {
        listeners: [
          {
            name: 'in',
            address: address('127.0.0.1', port),
            filter_chains: [{ filters: [{ name: 'http', typed_config: httpManager() }] }],
          },
        ],
        clusters: [
          {
            name: 'web',
            max_requests_per_connection: 1,
            load_assignment: {
              cluster_name: 'web',
              endpoints: [{ lb_endpoints: [{ endpoint }] }],
            },
            transport_socket: { name: 'tls', typed_config: upstreamTls(mounted, peer.identity) },
          },
        ],
      },
    },
  });
  await envoy.ready();
  return port;
}
