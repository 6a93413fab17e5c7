import { create } from '@bufbuild/protobuf';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Revocations } from '#model/revocations.ts';
import { revokedPeer } from '#policy/authz/revoked-peers.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { AUTHZ_CONFIG_NAMES } from '#xds/generate/authz/filters.ts';
import { revokedMatcher } from '#xds/generate/authz/revoked-matcher.ts';
import type { XdsResource } from '#xds/resource.ts';

/**
 * The configurations of the filters that refuse revoked peers, on connections of HTTP at the next
 * request. The same for all proxies, so that a revocation is encoded once.
 */
export function revokedConfigs(
  { all }: Revocations,
  settings: MeshSettings,
): readonly XdsResource[] {
  const peers = all.map((revocation) => revokedPeer(revocation, settings));
  const matcher = revokedMatcher(peers);
  const { http, tcp } = AUTHZ_CONFIG_NAMES;
  return [
    extensionConfig(
      http.revoked,
      HttpRbacSchema,
      create(HttpRbacSchema, { matcher, rulesStatPrefix: 'bulwark_revoked_' }),
    ),
    extensionConfig(
      tcp.revoked,
      NetworkRbacSchema,
      create(NetworkRbacSchema, { matcher, statPrefix: 'bulwark_revoked.' }),
    ),
  ];
}
