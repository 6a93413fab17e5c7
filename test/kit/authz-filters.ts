import { createRegistry, type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import { FilterSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ExtensionWithMatcherSchema } from '#gen/envoy-api/envoy/extensions/common/matching/v3/extension_matcher_pb.js';
import {
  CompositeSchema,
  ExecuteFilterActionSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/composite/v3/composite_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { ConfigSchema as SetFilterStateSchema } from '#gen/envoy-api/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js';
import { FilterStateInputSchema } from '#gen/envoy-api/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js';
import { UriSanInputSchema } from '#gen/envoy-api/envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs_pb.js';
import { UriTemplateMatchConfigSchema } from '#gen/envoy-api/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { type HardeningProfile, PROFILE_PATHS } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { RuleSet, WorkloadAuthorization } from '#policy/authz/selection.ts';
import { PATH_NORMALIZATIONS } from '#policy/path-normalization.ts';
import { filterByCaller } from '#xds/generate/authz/by-caller.ts';
import { PEER_SERIAL } from '#xds/generate/authz/peer-serial.ts';
import { buildHttpRbac, buildNetworkRbac } from '#xds/generate/authz/rbac.ts';
import { agentFilters } from './agent-question.ts';
import { claimsFilter } from './claims-header.ts';

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const registry = createRegistry(
  SetFilterStateSchema,
  HttpRbacSchema,
  NetworkRbacSchema,
  UriTemplateMatchConfigSchema,
  CompositeSchema,
  ExecuteFilterActionSchema,
  UriSanInputSchema,
  FilterStateInputSchema,
);

/** Notes the serial of the caller, as the chains of proxies do. */
export const peerSerial = toJson(FilterSchema, PEER_SERIAL, { registry });

function typed<D extends DescMessage>(name: string, schema: D, message: MessageShape<D>) {
  const json = toJson(schema, message, { registry }) as object;
  return { name, typed_config: { '@type': `type.googleapis.com/${schema.typeName}`, ...json } };
}

const samePort = (port: number): readonly number[] => [port];

interface ManagerOptions {
  readonly principals: PrincipalBinding;
  readonly largeFrom: number;
  /** Filters before all others, as JSON. */
  readonly ahead: readonly unknown[];
}

/** An HTTP connection manager that enforces an authorization. */
export function httpManager(
  authorization: WorkloadAuthorization,
  profile: HardeningProfile,
  { principals, largeFrom, ahead }: ManagerOptions,
) {
  const { http } = authorization;
  const { mergesSlashes, unescapesSlashes } = PATH_NORMALIZATIONS[PROFILE_PATHS[profile]];
  const rbac = (action: 'DENY' | 'ALLOW', rules: RuleSet) => {
    const build = (some: RuleSet) => buildHttpRbac(some, action, samePort, principals);
    const trustDomains = ['cluster.local'];
    const split =
      principals === 'peer' ? filterByCaller(rules, { largeFrom, trustDomains }, build) : undefined;
    return split
      ? typed(action, ExtensionWithMatcherSchema, split)
      : typed(action, HttpRbacSchema, build(rules));
  };
  const slashes = unescapesSlashes ? 'UNESCAPE_AND_FORWARD' : 'KEEP_UNCHANGED';
  const route = {
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
      },
    ],
  };
  return {
    name: 'http',
    typed_config: {
      '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'test',
      normalize_path: true,
      merge_slashes: mergesSlashes,
      path_with_escaped_slashes_action: slashes,
      route_config: route,
      local_reply_config: {
        body_format: { text_format_source: { inline_string: '%RESPONSE_CODE_DETAILS%' } },
      },
      http_filters: [
        claimsFilter(),
        ...ahead,
        ...agentFilters(authorization),
        rbac('DENY', http.deny),
        rbac('ALLOW', http.allow),
        {
          name: 'router',
          typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` },
        },
      ],
    },
  };
}

/** The filters of a plain connection that enforce it, before an echo. */
export function tcpFilters({ tcp }: WorkloadAuthorization) {
  return [
    typed('deny', NetworkRbacSchema, buildNetworkRbac(tcp.deny, 'DENY', samePort)),
    typed('allow', NetworkRbacSchema, buildNetworkRbac(tcp.allow, 'ALLOW', samePort)),
    { name: 'echo', typed_config: { '@type': `${EXTENSIONS}.filters.network.echo.v3.Echo` } },
  ];
}
