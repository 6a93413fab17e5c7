import { create } from '@bufbuild/protobuf';
import { ActionSchema, RBAC_Action } from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import {
  type Matcher,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from '#gen/envoy-api/xds/type/matcher/v3/matcher_pb.js';
import type { RevokedPeer } from '#policy/authz/revoked-peers.ts';
import {
  type CallerInput,
  IDENTITY_INPUT,
  nested,
  SERIAL_INPUT,
  withCertificate,
} from '#xds/generate/authz/caller-look-up.ts';
import { pack } from '#xds/generate/proto-values.ts';

/**
 * Refuses many revoked peers at the cost of one: two look-ups in maps, of the serial and of the
 * identity, where rules are tried one after another. Callers without a certificate pass. Envoy
 * hands over all URI names of a certificate as one text; certificates of the mesh have one, so it
 * is the identity.
 */
export function revokedMatcher(peers: readonly RevokedPeer[]): Matcher {
  const serials = peers.flatMap(({ name, serials: all }) => all.map((one) => [one, name] as const));
  const identities = peers.flatMap(({ name, identities: all }) =>
    all.map((one) => [one, name] as const),
  );
  const allow = action('ALLOW', 'bulwark-not-revoked');
  const byIdentity = lookUp(IDENTITY_INPUT, identities, allow);
  return withCertificate(lookUp(SERIAL_INPUT, serials, byIdentity), allow);
}

/** Looks for what `input` gives in a map; what is not there goes on to `otherwise`. */
function lookUp(
  input: CallerInput,
  entries: readonly (readonly [value: string, name: string])[],
  otherwise: Matcher_OnMatch,
): Matcher_OnMatch {
  // Envoy refuses an empty map.
  if (entries.length === 0) return otherwise;
  const map = Object.fromEntries(entries.map(([value, name]) => [value, action('DENY', name)]));
  const treeType = { case: 'exactMatchMap', value: { map } } as const;
  return nested(
    create(MatcherSchema, {
      matcherType: { case: 'matcherTree', value: { input, treeType } },
      onNoMatch: otherwise,
    }),
  );
}

function action(what: 'ALLOW' | 'DENY', name: string): Matcher_OnMatch {
  const typedConfig = pack(ActionSchema, { name, action: RBAC_Action[what] });
  return create(Matcher_OnMatchSchema, {
    onMatch: { case: 'action', value: { name: 'action', typedConfig } },
  });
}
