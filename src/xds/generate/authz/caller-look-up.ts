import { create } from '@bufbuild/protobuf';
import { FilterStateInputSchema } from '#gen/envoy-api/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js';
import { UriSanInputSchema } from '#gen/envoy-api/envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs_pb.js';
import {
  type Matcher,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from '#gen/envoy-api/xds/type/matcher/v3/matcher_pb.js';
import { StringMatcherSchema } from '#gen/envoy-api/xds/type/matcher/v3/string_pb.js';
import { PEER_SERIAL_KEY } from '#xds/generate/authz/peer-serial.ts';
import { type Init, pack } from '#xds/generate/proto-values.ts';

// What callers are looked up by in the maps of Envoy's matchers.

/** The identity of the caller; several names of one certificate come with commas between them. */
export const IDENTITY_INPUT = {
  name: 'identity',
  typedConfig: pack(UriSanInputSchema, {}),
};

/** The name of the refusal of certificates with an identity and another name. */
export const SEVERAL_NAMES = 'bulwark-several-names';

/** What the text of all names of such a certificate has in it. */
export const SEVERAL_NAMES_HAVE = [',', 'spiffe://'] as const;

/** The serial number, which is there as soon as the caller has shown a certificate. */
export const SERIAL_INPUT = {
  name: 'serial',
  typedConfig: pack(FilterStateInputSchema, { key: PEER_SERIAL_KEY }),
};

/** One of these inputs. */
export type CallerInput = typeof IDENTITY_INPUT;

/**
 * `found` for callers with a certificate, `otherwise` for all others. Of a connection without TLS
 * the identity is not even empty: to ask for it ends a look-up as a whole, with no answer.
 */
export function withCertificate(found: Matcher_OnMatch, otherwise: Matcher_OnMatch): Matcher {
  const any = {
    matchPattern: {
      case: 'safeRegex',
      value: { engineType: { case: 'googleRe2', value: {} }, regex: '.+' },
    },
  } as const;
  return choice(SERIAL_INPUT, any, found, otherwise);
}

/** `found` where the input has such a value, else `otherwise`. */
export function choice(
  input: CallerInput,
  value: Init<typeof StringMatcherSchema>,
  found: Matcher_OnMatch,
  otherwise: Matcher_OnMatch,
): Matcher {
  const matcher = { case: 'valueMatch', value: create(StringMatcherSchema, value) } as const;
  const predicate = {
    matchType: { case: 'singlePredicate', value: { input, matcher } },
  } as const;
  return create(MatcherSchema, {
    matcherType: {
      case: 'matcherList',
      value: { matchers: [{ predicate, onMatch: found }] },
    },
    onNoMatch: otherwise,
  });
}

/** A matcher as what comes of a match. */
export function nested(matcher: Matcher): Matcher_OnMatch {
  return create(Matcher_OnMatchSchema, { onMatch: { case: 'matcher', value: matcher } });
}
