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
  choice,
  IDENTITY_INPUT,
  nested,
  SERIAL_INPUT,
  SEVERAL_NAMES,
  SEVERAL_NAMES_HAVE,
  withCertificate,
} from '#xds/generate/authz/caller-look-up.ts';
import { pack } from '#xds/generate/proto-values.ts';

/**
 * Refuses revoked peers at the cost of one, however many they are: two look-ups in maps, of the
 * serial and of the identity. Callers without a certificate pass. Envoy hands over all URI names of
 * a certificate as one text, and its other matchers take any of them for the identity, also where
 * another one decided by whose roots the certificate is verified. So a SPIFFE id beside another
 * name is refused (SPIFFE X.509-SVID section 2: exactly one), revoked or not. Names of other kinds,
 * which callers from outside of the mesh may have, are nobody's identity.
 */
export function revokedMatcher(peers: readonly RevokedPeer[]): Matcher {
  const serials = peers.flatMap(({ name, serials: all }) => all.map((one) => [one, name] as const));
  const identities = peers.flatMap(({ name, identities: all }) =>
    all.map((one) => [one, name] as const),
  );
  const allow = action('ALLOW', 'bulwark-not-revoked');
  const byIdentity = lookUp(IDENTITY_INPUT, identities, allow);
  const bySerial = lookUp(SERIAL_INPUT, serials, byIdentity);
  return withCertificate(refuseSeveralNames(bySerial), allow);
}

function refuseSeveralNames(otherwise: Matcher_OnMatch): Matcher_OnMatch {
  const refused = action('DENY', SEVERAL_NAMES);
  return SEVERAL_NAMES_HAVE.reduceRight((found, value) => {
    const contains = { matchPattern: { case: 'contains', value } } as const;
    return nested(choice(IDENTITY_INPUT, contains, found, otherwise));
  }, refused);
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
