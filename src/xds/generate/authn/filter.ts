import { create } from '@bufbuild/protobuf';
import { JwtAuthenticationSchema } from '#gen/envoy-api/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { KeySets } from '#model/key-sets.ts';
import type { WorkloadTokens } from '#policy/authn/jwt.ts';
import { buildJwtAuthentication, type JwtOptions, refuseAll } from '#xds/generate/authn/jwt.ts';
import { extensionConfig } from '#xds/generate/authz/extension-configs.ts';
import { discovered } from '#xds/generate/authz/filters.ts';
import type { XdsResource } from '#xds/resource.ts';

/** The name under which the configuration is served; a proxy has one. */
const JWT_CONFIG_NAME = 'authn.http.jwt';

/**
 * The filter that verifies tokens. It is in every inbound manager from the first listener on: its
 * configuration (`jwtExtensionConfig`) changes on open connections. Until it arrives it refuses.
 */
export function jwtFilter(): HttpFilter {
  return create(HttpFilterSchema, {
    name: JWT_CONFIG_NAME,
    configType: {
      case: 'configDiscovery',
      value: discovered(JwtAuthenticationSchema, refuseAll()),
    },
  });
}

/** The configuration that `jwtFilter` asks for: always there, since a missing one answers 500. */
export function jwtExtensionConfig(
  tokens: WorkloadTokens,
  keySets: KeySets,
  options: JwtOptions,
): XdsResource {
  const config = buildJwtAuthentication(tokens, keySets, options);
  return extensionConfig(JWT_CONFIG_NAME, JwtAuthenticationSchema, config);
}
