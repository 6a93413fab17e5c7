import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import {
  AggregatedConfigSourceSchema,
  ApiVersion,
  ConfigSourceSchema,
  type ExtensionConfigSource,
  ExtensionConfigSourceSchema,
} from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import {
  type Filter,
  FilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { RBAC_Action, RBACSchema } from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';

/**
 * The filters that authorize inbound traffic, in the order in which they run, and the names under
 * which their configurations are served. A proxy has one authorization, so each name exists once
 * for a proxy and every one of its listeners and chains may refer to it.
 */
export const AUTHZ_CONFIG_NAMES = {
  http: { revoked: 'authz.http.revoked', deny: 'authz.http.deny', allow: 'authz.http.allow' },
  tcp: { revoked: 'authz.tcp.revoked', deny: 'authz.tcp.deny', allow: 'authz.tcp.allow' },
} as const;

/**
 * The name of a configuration by whose identity its principals are about. On a port where it is the
 * end user's, the same policies ask for something else.
 */
export function boundName(name: string, principal: PrincipalBinding): string {
  return principal === 'origin' ? `${name}.origin` : name;
}

/** ALLOW with no policies: whatever happens to the configuration, nothing passes without one. */
const DENY_ALL = create(RBACSchema, { action: RBAC_Action.ALLOW });

const DEFAULT_HTTP = create(HttpRbacSchema, { rules: DENY_ALL });
const DEFAULT_TCP = create(NetworkRbacSchema, { rules: DENY_ALL, statPrefix: 'tcp.' });

/**
 * A filter's configuration that comes by extension discovery, and what holds until it does.
 */
export function discovered<D extends DescMessage>(
  schema: D,
  defaultConfig: MessageShape<D>,
): ExtensionConfigSource {
  const packed: Any = anyPack(schema, defaultConfig);
  return create(ExtensionConfigSourceSchema, {
    configSource: create(ConfigSourceSchema, {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: { case: 'ads', value: create(AggregatedConfigSourceSchema) },
    }),
    defaultConfig: packed,
    // Without this a listener waits 15 seconds with its port closed, then answers 500.
    applyDefaultConfigWithoutWarming: true,
    typeUrls: [packed.typeUrl],
  });
}

/**
 * The authorization filters of an HTTP connection manager. They are in every inbound manager from
 * the first listener on, also when no policy selects the workload: a filter cannot be added later
 * without draining, but its configuration (`authzExtensionConfigs`) changes on open connections.
 * Until it arrives they deny.
 */
export function httpAuthzFilters(principal: PrincipalBinding): readonly HttpFilter[] {
  const { revoked, deny, allow } = AUTHZ_CONFIG_NAMES.http;
  const names = [revoked, boundName(deny, principal), boundName(allow, principal)];
  return names.map((name) =>
    create(HttpFilterSchema, {
      name,
      configType: { case: 'configDiscovery', value: discovered(HttpRbacSchema, DEFAULT_HTTP) },
    }),
  );
}

/**
 * The authorization filters of a TCP chain, to stand before `tcp_proxy`. Two limits of Envoy: they
 * are asked at the first byte from the client, not at connect; and a new configuration reaches new
 * connections only, so the chain must carry `tcpAuthzMarker`, whose change drains it.
 */
export function networkAuthzFilters(): readonly Filter[] {
  return Object.values(AUTHZ_CONFIG_NAMES.tcp).map((name) =>
    create(FilterSchema, {
      name,
      configType: { case: 'configDiscovery', value: discovered(NetworkRbacSchema, DEFAULT_TCP) },
    }),
  );
}
