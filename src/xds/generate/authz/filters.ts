import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { LIMITS } from '#base/limits.ts';
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
import { ExtensionWithMatcherSchema } from '#gen/envoy-api/envoy/extensions/common/matching/v3/extension_matcher_pb.js';
import { ExtAuthzSchema as HttpExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { HeaderMutationSchema } from '#gen/envoy-api/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { ExtAuthzSchema as NetworkExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
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
  http: {
    revoked: 'authz.http.revoked',
    provided: 'authz.http.provided',
    audit: 'authz.http.audit',
    question: 'authz.http.agent.rules',
    agent: 'authz.http.agent.check',
    deny: 'authz.http.deny',
    allow: 'authz.http.allow',
  },
  tcp: {
    revoked: 'authz.tcp.revoked',
    audit: 'authz.tcp.audit',
    deny: 'authz.tcp.deny',
    allow: 'authz.tcp.allow',
  },
} as const;

/** Prefix of the keys and statistics of the filters that note what AUDIT policies match. */
export const AUDIT_PREFIX = 'istio_audit_';

/** The same of the filters that enforce DENY and ALLOW policies. */
export const ENFORCED_PREFIX = { deny: 'istio_deny_', allow: 'istio_allow_' } as const;

/** Where providers of CUSTOM policies have their filters; in order. */
export const CUSTOM_PLACES: readonly number[] = Array.from(
  { length: LIMITS.authzProvidersPerWorkloadMax },
  (_, place) => place,
);

/**
 * The two filters of a place: one that tries the rules, and one that asks the provider about what
 * they match.
 */
export function customNames(
  traffic: 'http' | 'tcp',
  place: number,
): { readonly rules: string; readonly check: string } {
  const name = `authz.${traffic}.custom.${place}`;
  return { rules: `${name}.rules`, check: `${name}.check` };
}

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
 * @param alternative another type that the configuration may have: the filter is then another one
 */
export function discovered<D extends DescMessage>(
  schema: D,
  defaultConfig: MessageShape<D>,
  alternative?: DescMessage,
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
    typeUrls: [packed.typeUrl, ...(alternative ? [typeUrlOf(alternative)] : [])],
  });
}

function typeUrlOf({ typeName }: DescMessage): string {
  return `type.googleapis.com/${typeName}`;
}

/**
 * The authorization filters of an HTTP connection manager. They are in every inbound manager from
 * the first listener on, also when no policy selects the workload: a filter cannot be added later
 * without draining, but its configuration (`authzExtensionConfigs`) changes on open connections.
 * Until it arrives they deny.
 */
export function httpAuthzFilters(principal: PrincipalBinding): readonly HttpFilter[] {
  const { audit, deny, allow } = AUTHZ_CONFIG_NAMES.http;
  // Many rules are behind a look-up of the caller (filterByCaller).
  const trying = discovered(HttpRbacSchema, DEFAULT_HTTP, ExtensionWithMatcherSchema);
  return [audit, deny, allow].map((name) => httpFilter(boundName(name, principal), trying));
}

/** The filter that refuses revoked peers. */
export function revokedPeersFilter(): HttpFilter {
  return httpRbac(AUTHZ_CONFIG_NAMES.http.revoked);
}

/**
 * The filters that ask providers, before the token of a request is looked at: a provider may add
 * it. Before them what callers have no business to set is taken away. A place without provider has
 * an RBAC filter without rules where the question would be asked.
 */
export function customFilters(): readonly HttpFilter[] {
  const provided = httpFilter(
    AUTHZ_CONFIG_NAMES.http.provided,
    discovered(HeaderMutationSchema, create(HeaderMutationSchema)),
  );
  const places = CUSTOM_PLACES.flatMap((place) => {
    const { rules, check } = customNames('http', place);
    const asking = discovered(HttpRbacSchema, DEFAULT_HTTP, HttpExtAuthzSchema);
    return [httpRbac(rules), httpFilter(check, asking)];
  });
  return [provided, ...places];
}

/**
 * The filters that ask the agent about requests, before the rules that need its answer. They are
 * there for workloads with such rules only.
 */
export function agentFilters(): readonly HttpFilter[] {
  const { question, agent } = AUTHZ_CONFIG_NAMES.http;
  const asking = discovered(HttpRbacSchema, DEFAULT_HTTP, HttpExtAuthzSchema);
  return [httpRbac(question), httpFilter(agent, asking)];
}

function httpRbac(name: string): HttpFilter {
  return httpFilter(name, discovered(HttpRbacSchema, DEFAULT_HTTP));
}

function httpFilter(name: string, value: ExtensionConfigSource): HttpFilter {
  return create(HttpFilterSchema, { name, configType: { case: 'configDiscovery', value } });
}

/**
 * The authorization filters of a TCP chain, to stand before `tcp_proxy`. Two limits of Envoy: they
 * are asked at the first byte from the client, not at connect; and a new configuration reaches new
 * connections only, so the chain must carry TcpHandling.tcpPolicy, whose change ends those before.
 */
export function networkAuthzFilters(): readonly Filter[] {
  const { revoked, audit, deny, allow } = AUTHZ_CONFIG_NAMES.tcp;
  const places = CUSTOM_PLACES.flatMap((place) => {
    const { rules, check } = customNames('tcp', place);
    const asking = discovered(NetworkRbacSchema, DEFAULT_TCP, NetworkExtAuthzSchema);
    return [networkRbac(rules), networkFilter(check, asking)];
  });
  return [networkRbac(revoked), ...places, ...[audit, deny, allow].map(networkRbac)];
}

function networkRbac(name: string): Filter {
  return networkFilter(name, discovered(NetworkRbacSchema, DEFAULT_TCP));
}

function networkFilter(name: string, value: ExtensionConfigSource): Filter {
  return create(FilterSchema, { name, configType: { case: 'configDiscovery', value } });
}
