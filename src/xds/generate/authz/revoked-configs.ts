import { create } from '@bufbuild/protobuf';
import {
  type Policy,
  PolicySchema,
  type Principal,
  PrincipalSchema,
  type RBAC,
  RBAC_Action,
  RBACSchema,
} from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Revocations } from '#model/revocations.ts';
import { type RevokedPeer, revokedPeer } from '#policy/authz/revoked-peers.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { AUTHZ_CONFIG_NAMES } from '#xds/generate/authz/filters.ts';
import { PEER_SERIAL_KEY } from '#xds/generate/authz/peer-serial.ts';
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
  const rules = engineFor(peers);
  const { http, tcp } = AUTHZ_CONFIG_NAMES;
  return [
    extensionConfig(
      http.revoked,
      HttpRbacSchema,
      create(HttpRbacSchema, { ...rules, rulesStatPrefix: 'bulwark_revoked_' }),
    ),
    extensionConfig(
      tcp.revoked,
      NetworkRbacSchema,
      create(NetworkRbacSchema, { ...rules, statPrefix: 'bulwark_revoked.' }),
    ),
  ];
}

/** From so many on, rules that are tried one by one cost more than the maps are large. */
const MAPS_FROM = 32;

function engineFor(peers: readonly RevokedPeer[]) {
  if (peers.length === 0) return {};
  return peers.length < MAPS_FROM
    ? { rules: denyRules(peers) }
    : { matcher: revokedMatcher(peers) };
}

function denyRules(peers: readonly RevokedPeer[]): RBAC {
  const policies = peers.map((peer) => [peer.name, policyOf(peer)] as const);
  return create(RBACSchema, {
    action: RBAC_Action.DENY,
    policies: Object.fromEntries(policies),
  });
}

function policyOf({ serials, identities }: RevokedPeer): Policy {
  return create(PolicySchema, {
    permissions: [{ rule: { case: 'any', value: true } }],
    principals: [...serials.map(ofSerial), ...identities.map(ofIdentity)],
  });
}

function ofSerial(serial: string): Principal {
  return create(PrincipalSchema, {
    identifier: {
      case: 'filterState',
      value: {
        key: PEER_SERIAL_KEY,
        matcher: {
          case: 'stringMatch',
          value: { matchPattern: { case: 'exact', value: serial }, ignoreCase: true },
        },
      },
    },
  });
}

function ofIdentity(identity: string): Principal {
  return create(PrincipalSchema, {
    identifier: {
      case: 'authenticated',
      value: { principalName: { matchPattern: { case: 'exact', value: identity } } },
    },
  });
}
