import type { JWTPayload, ProtectedHeaderParameters } from 'jose';
import type { KnownBundles } from '#agent/trust/known-bundles.ts';
import { BulwarkError } from '#base/errors.ts';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '#spiffe/spiffe-id.ts';

/** A token that passed every check. */
export interface ValidJwtSvid {
  readonly identity: SpiffeId;
  readonly claims: JWTPayload;
}

/** What a token is checked with. */
export interface JwtSvidExpected {
  /** That the token must have been made for. */
  readonly audience: string;
  readonly bundles: KnownBundles;
  /** Now, wall-clock milliseconds. */
  readonly at: number;
}

/** What a JWT-SVID may be signed with (SPIFFE JWT-SVID 2.1): "none" and shared keys are not. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512'],
];
const HEADERS = ['alg', 'kid', 'typ'];
const TYPES = ['JWT', 'JOSE'];

/**
 * Checks a token as SPIFFE JWT-SVID asks for: header, signature by a key of the trust domain that
 * the token names and of no other, subject, audience, and time.
 * @throws BulwarkError TOKEN_INVALID that says why
 */
export async function validateJwtSvid(
  token: string,
  { audience, bundles, at }: JwtSvidExpected,
): Promise<ValidJwtSvid> {
  // Loaded with the first token: it costs an agent 15 MB.
  const { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } = await import('jose');
  try {
    checkHeader(decodeProtectedHeader(token));
    const identity = parseSpiffeId(decodeJwt(token).sub ?? '');
    const trustDomain = identity.split('/')[2] as TrustDomain;
    const keys = bundles.byDomain.get(trustDomain)?.jwtAuthorities ?? [];
    if (keys.length === 0) throw new Error(`there is no bundle of the trust domain ${trustDomain}`);
    const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: keys.map(asKey) }), {
      algorithms: ALGORITHMS,
      audience,
      currentDate: new Date(at),
      requiredClaims: ['sub', 'aud', 'exp'],
    });
    return { identity, claims: payload };
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new BulwarkError('TOKEN_INVALID', `the token is not valid: ${reason}`, { cause });
  }
}

function checkHeader(header: ProtectedHeaderParameters): void {
  const foreign = Object.keys(header).find((name) => !HEADERS.includes(name));
  if (foreign !== undefined)
    throw new Error(`the header ${JSON.stringify(foreign)} is not allowed`);
  if (header.typ !== undefined && !TYPES.includes(header.typ))
    throw new Error('the type is neither JWT nor JOSE');
}

function asKey(key: { readonly kty: string }) {
  return { ...key };
}
