import { create } from '@bufbuild/protobuf';
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { KeySets } from '#model/key-sets.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { type PortTokens, tokensOfPort, type WorkloadTokens } from '#policy/authn/jwt.ts';
import { HARDENING } from '#policy/hardening.ts';
import { buildJwtAuthentication, refuseAll } from '#xds/generate/authn/jwt.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { discovered } from '#xds/generate/authz/filters.ts';
import { IdentityCache } from '#xds/generate/build-cache.ts';
import type { XdsResource } from '#xds/resource.ts';

/**
 * The name under which the configuration for a port of the workload is served; 0 = every port that
 * has none of its own. Policies of the old API are for ports.
 */
function configName(port: number): string {
  return port === 0 ? 'authn.http.jwt' : `authn.http.jwt.${port}`;
}

/**
 * The filter that verifies tokens. It is in every inbound manager from the first listener on: its
 * configuration (`jwtExtensionConfig`) changes on open connections. Until it arrives it refuses.
 */
export function jwtFilter(port: number): HttpFilter {
  return create(HttpFilterSchema, {
    name: configName(port),
    configType: {
      case: 'configDiscovery',
      value: discovered(JwtAuthenticationSchema, refuseAll()),
    },
  });
}

/** Makes the configurations that the filters ask for; remembers them. */
export class JwtConfigs {
  readonly #configs: IdentityCache<[PortTokens, KeySets], JwtAuthentication>;
  readonly #resources = new WeakMap<JwtAuthentication, Map<number, XdsResource>>();

  /** `findsRouteAnew`: for gateways, whose routes may ask for claims. */
  constructor(hardening: HardeningProfile, { findsRouteAnew = false } = {}) {
    const profile = HARDENING[hardening];
    const options = {
      enforceRequired: profile.requiredTokensAreEnforced,
      refuseBadOptional: profile.badOptionalTokensAreRefused,
      checkBearer: profile.bearerIsChecked,
      findsRouteAnew,
    };
    this.#configs = new IdentityCache((tokens, keySets) =>
      buildJwtAuthentication(tokens, keySets, options),
    );
  }

  /**
   * One for each of the ports, and one for every other port: all of them always, since a missing
   * one answers 500.
   */
  of(tokens: WorkloadTokens, ports: readonly number[], keySets: KeySets): readonly XdsResource[] {
    return [0, ...ports].map((port) => {
      const config = this.#configs.get(tokensOfPort(tokens, port), keySets);
      const known = this.#resources.get(config) ?? new Map<number, XdsResource>();
      this.#resources.set(config, known);
      const resource =
        known.get(port) ?? extensionConfig(configName(port), JwtAuthenticationSchema, config);
      known.set(port, resource);
      return resource;
    });
  }
}
