import { createRegistry, fromBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import { TypedExtensionConfigSchema } from '#gen/envoy-api/envoy/config/core/v3/extension_pb.js';
import { ListenerSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '#gen/envoy-api/envoy/config/route/v3/route_pb.js';
import { ExtAuthzSchema as HttpExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { ExtAuthzSchema as NetworkExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import { HttpConnectionManagerSchema } from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { TcpProxySchema } from '#gen/envoy-api/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL, type TypeUrl, type XdsResource } from '#xds/resource.ts';

/** The name of another resource that a resource needs. */
export interface Reference {
  readonly typeUrl: TypeUrl;
  readonly name: string;
}

/** Messages that may hold references, resources and what is packed into them. */
const REGISTRY = createRegistry(
  ClusterSchema,
  ListenerSchema,
  RouteConfigurationSchema,
  HttpConnectionManagerSchema,
  TcpProxySchema,
  TypedExtensionConfigSchema,
  HttpExtAuthzSchema,
  NetworkExtAuthzSchema,
);

/** For each kind of message that can name another resource: which one a message of it names. */
const READERS: Readonly<Record<string, (message: Node) => Reference | undefined>> = {
  'envoy.config.route.v3.RouteAction': clusterOf,
  'envoy.config.route.v3.WeightedCluster.ClusterWeight': ({ name }) => ({
    typeUrl: TYPE_URL.cluster,
    name: String(name),
  }),
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': clusterOf,
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight': ({
    name,
  }) => ({ typeUrl: TYPE_URL.cluster, name: String(name) }),
  'envoy.extensions.filters.network.http_connection_manager.v3.Rds': ({ routeConfigName }) => ({
    typeUrl: TYPE_URL.route,
    name: String(routeConfigName),
  }),
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter': extensionConfigOf,
  'envoy.config.listener.v3.Filter': extensionConfigOf,
  'envoy.config.core.v3.GrpcService.EnvoyGrpc': ({ clusterName }) => ({
    typeUrl: TYPE_URL.cluster,
    name: String(clusterName),
  }),
  'envoy.config.core.v3.HttpUri': ({ httpUpstreamType }) => {
    const { case: kind, value } = httpUpstreamType as OneOf;
    return kind === 'cluster' ? { typeUrl: TYPE_URL.cluster, name: String(value) } : undefined;
  },
  'envoy.config.cluster.v3.Cluster.EdsClusterConfig': ({ serviceName }) => ({
    typeUrl: TYPE_URL.endpoints,
    name: String(serviceName),
  }),
};

type Node = Readonly<Record<string, unknown>>;
interface OneOf {
  readonly case: string | undefined;
  readonly value: unknown;
}

const found = new WeakMap<XdsResource, readonly Reference[]>();

/**
 * Every resource that `resource` refers to. Read back from its bytes, so that a builder cannot
 * forget to say it; once for each resource.
 */
export function referencesOf(resource: XdsResource): readonly Reference[] {
  let references = found.get(resource);
  if (!references) {
    const byKey = new Map<string, Reference>();
    collect(fromBinary(ResourceSchema, resource.encoded).resource, byKey);
    references = [...byKey.values()];
    found.set(resource, references);
  }
  return references;
}

/**
 * Walks a message down to its leaves; it is on the path of every change, so it makes no garbage.
 */
function collect(value: unknown, into: Map<string, Reference>): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, into);
    return;
  }
  const node = value as Node;
  const type = node.$typeName;
  if (type === AnySchema.typeName) {
    collect(anyUnpack(value as Any, REGISTRY), into);
    return;
  }
  const reference = typeof type === 'string' ? READERS[type]?.(node) : undefined;
  if (reference) into.set(`${reference.typeUrl} ${reference.name}`, reference);
  for (const key in node) collect(node[key], into);
}

function clusterOf({ clusterSpecifier }: Node): Reference | undefined {
  const { case: kind, value } = clusterSpecifier as OneOf;
  return kind === 'cluster' ? { typeUrl: TYPE_URL.cluster, name: String(value) } : undefined;
}

function extensionConfigOf({ name, configType }: Node): Reference | undefined {
  const { case: kind } = configType as OneOf;
  if (kind !== 'configDiscovery') return undefined;
  return { typeUrl: TYPE_URL.extensionConfig, name: String(name) };
}
