import type { JsonObject } from '@bufbuild/protobuf';
import { TYPE_URL, type TypeUrl, type XdsResource, type XdsSnapshot } from '#xds/resource.ts';
import type { BootstrapJson } from './envoy.ts';
import { resourceFromJson } from './xds-json.ts';

// Resources as small as Envoy takes them, for tests of how they get to it.

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const RBAC = `${EXTENSIONS}.filters.http.rbac.v3.RBAC`;
// No time-out: an Envoy that was never configured must not call itself ready.
const FROM_ADS = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };

/** A snapshot of these resources. */
export function snapshotOf(resources: readonly XdsResource[]): XdsSnapshot {
  const types = new Map<TypeUrl, Map<string, XdsResource>>();
  for (const resource of resources) {
    const type = types.get(resource.typeUrl) ?? new Map<string, XdsResource>();
    types.set(resource.typeUrl, type.set(resource.name, resource));
  }
  return types;
}

/** A cluster with one endpoint on loopback. */
export function staticCluster(name: string, port: number, more: JsonObject = {}): XdsResource {
  return resourceFromJson(TYPE_URL.cluster, {
    name,
    type: 'STATIC',
    load_assignment: { cluster_name: name, endpoints: endpointsAt(port) },
    ...more,
  });
}

/** A cluster that Envoy rejects late: only after it began to warm up. */
export function lateRejectedCluster(name: string, port: number): XdsResource {
  const ring_hash_lb_config = { minimum_ring_size: 2000, maximum_ring_size: 1000 };
  return staticCluster(name, port, { lb_policy: 'RING_HASH', ring_hash_lb_config });
}

/** A cluster whose endpoints come by EDS. */
export function edsCluster(name: string, more: JsonObject = {}): XdsResource {
  const eds_cluster_config = { eds_config: FROM_ADS };
  return resourceFromJson(TYPE_URL.cluster, { name, type: 'EDS', eds_cluster_config, ...more });
}

/** One endpoint on loopback. */
export function endpoints(name: string, port: number): XdsResource {
  const json = { cluster_name: name, endpoints: endpointsAt(port) };
  return resourceFromJson(TYPE_URL.endpoints, json);
}

function endpointsAt(port: number): JsonObject[] {
  return [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }];
}

function loopback(port: number): JsonObject {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

/** What a listener of `httpListener` needs to know. */
export interface HttpListenerOptions {
  readonly name: string;
  /** 0 = a free one. */
  readonly port?: number;
  /** Name of the route configuration that comes by RDS. */
  readonly route: string;
  /** Names of RBAC filters whose configuration comes by ECDS; without it they refuse everything. */
  readonly policies?: readonly string[];
}

/** An HTTP listener on loopback. */
export function httpListener({ name, port = 0, route, policies = [] }: HttpListenerOptions) {
  const manager = {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    rds: { route_config_name: route, config_source: FROM_ADS },
    http_filters: [...policies.map(policyFilter), routerFilter()],
  };
  return resourceFromJson(TYPE_URL.listener, {
    name,
    address: loopback(port),
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  });
}

function policyFilter(name: string): JsonObject {
  return {
    name,
    config_discovery: {
      config_source: FROM_ADS,
      type_urls: [RBAC],
      default_config: { '@type': RBAC, rules: { action: 'ALLOW' } },
      apply_default_config_without_warming: true,
    },
  };
}

function routerFilter(): JsonObject {
  return {
    name: 'router',
    typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` },
  };
}

/** Sends everything to one cluster. */
export function routeTo(name: string, cluster: string): XdsResource {
  const routes = [{ match: { prefix: '/' }, route: { cluster } }];
  const virtual_hosts = [{ name: 'all', domains: ['*'], routes }];
  return resourceFromJson(TYPE_URL.route, { name, virtual_hosts });
}

/** A policy that allows, or refuses, every request. */
export function policy(name: string, verdict: 'allow' | 'refuse'): XdsResource {
  const everybody = { permissions: [{ any: true }], principals: [{ any: true }] };
  const policies = verdict === 'allow' ? { everybody } : {};
  const typed_config = { '@type': RBAC, rules: { action: 'ALLOW', policies } };
  return resourceFromJson(TYPE_URL.extensionConfig, { name, typed_config });
}

/** A configuration of another filter, which a filter made by `httpListener` does not take. */
export function wrongPolicy(name: string): XdsResource {
  const typed_config = { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` };
  return resourceFromJson(TYPE_URL.extensionConfig, { name, typed_config });
}

/** How `adsBootstrap` reaches its server. */
export interface AdsBootstrapOptions {
  readonly node: JsonObject;
  /** A unix socket, or a port on loopback. */
  readonly at: { readonly path: string } | { readonly port: number };
  /** Of the cluster that reaches the server. */
  readonly transportSocket?: JsonObject;
}

/** A bootstrap that takes everything by delta ADS. */
export function adsBootstrap({ node, at, transportSocket }: AdsBootstrapOptions): BootstrapJson {
  const address = 'path' in at ? { pipe: { path: at.path } } : loopback(at.port);
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    node: { cluster: 'test', ...node },
    dynamic_resources: {
      lds_config: FROM_ADS,
      cds_config: FROM_ADS,
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
          },
          typed_extension_protocol_options: {
            [options]: {
              '@type': `type.googleapis.com/${options}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          ...(transportSocket ? { transport_socket: transportSocket } : {}),
        },
      ],
    },
  };
}
