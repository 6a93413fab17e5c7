import { create } from '@bufbuild/protobuf';
import {
  type HeaderMutation as HeaderChange,
  HeaderMutationSchema as HeaderChangeSchema,
} from '#gen/envoy-api/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js';
import { ExtAuthzSchema as HttpExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { HeaderMutationSchema } from '#gen/envoy-api/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { ExtAuthzSchema as NetworkExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { CustomCheck } from '#policy/authz/custom-checks.ts';
import { providedHeaders } from '#policy/authz/provided-headers.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import { HARDENING } from '#policy/hardening.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { buildHttpCheck, buildNetworkCheck } from '#xds/generate/authz/external-check.ts';
import { AUTHZ_CONFIG_NAMES, CUSTOM_PLACES, customNames } from '#xds/generate/authz/filters.ts';
import { textMatcher } from '#xds/generate/authz/matchers.ts';
import type { ListenPorts } from '#xds/generate/authz/permission.ts';
import { buildHttpQuestion, buildNetworkQuestion } from '#xds/generate/authz/rbac.ts';
import type { XdsResource } from '#xds/resource.ts';

/** What the rules of providers mean for a proxy. */
export interface CustomMeaning {
  readonly listenPorts: ListenPorts;
  readonly hardening: HardeningProfile;
}

/** The configurations of the filters that ask providers about requests. */
export function httpCustomConfigs(
  checks: readonly CustomCheck[],
  { listenPorts, hardening }: CustomMeaning,
): readonly XdsResource[] {
  const { providedHeadersAreStripped: strips, everyCustomMatchIsAsked } = HARDENING[hardening];
  const provided = strips
    ? checks.flatMap(({ provider }) => providedHeaders(provider).stripped)
    : [];
  const stripping = create(HeaderMutationSchema, {
    mutations: { requestMutations: provided.map(removal) },
  });
  return [
    extensionConfig(AUTHZ_CONFIG_NAMES.http.provided, HeaderMutationSchema, stripping),
    ...CUSTOM_PLACES.flatMap((place) => {
      const { rules, check } = customNames('http', place);
      const asked = checks[place];
      const nothing = create(HttpRbacSchema);
      if (!asked)
        return [rules, check].map((name) => extensionConfig(name, HttpRbacSchema, nothing));
      const checking = buildHttpCheck(asked.provider, place, everyCustomMatchIsAsked);
      // Its answers are counted apart, for the status of its policies.
      checking.statPrefix = asked.provider.name;
      return [
        extensionConfig(rules, HttpRbacSchema, buildHttpQuestion(asked, place, listenPorts)),
        extensionConfig(check, HttpExtAuthzSchema, checking),
      ];
    }),
  ];
}

/** The same about plain connections. */
export function networkCustomConfigs(
  checks: readonly CustomCheck[],
  { listenPorts, hardening }: CustomMeaning,
): readonly XdsResource[] {
  const { everyCustomMatchIsAsked } = HARDENING[hardening];
  return CUSTOM_PLACES.flatMap((place) => {
    const { rules, check } = customNames('tcp', place);
    const asked = checks[place];
    const nothing = create(NetworkRbacSchema, { statPrefix: 'tcp.' });
    if (!asked)
      return [rules, check].map((name) => extensionConfig(name, NetworkRbacSchema, nothing));
    const checking = buildNetworkCheck(asked.provider, place, everyCustomMatchIsAsked);
    checking.statPrefix = `tcp.${asked.provider.name}`;
    return [
      extensionConfig(rules, NetworkRbacSchema, buildNetworkQuestion(asked, place, listenPorts)),
      extensionConfig(check, NetworkExtAuthzSchema, checking),
    ];
  });
}

function removal(header: TextMatch): HeaderChange {
  return create(HeaderChangeSchema, {
    action:
      header.match === 'exact'
        ? { case: 'remove', value: header.value }
        : { case: 'removeOnMatch', value: { keyMatcher: textMatcher(header) } },
  });
}
