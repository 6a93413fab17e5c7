import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { bearerTokenOf } from '#base/bearer-token.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { OidcRule, OidcValue } from '#ca/attestation/oidc-rules.ts';
import type { AttestedCall, Attestor, ProvenCaller } from '#ca/authenticator.ts';
import { type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

export interface OidcTokenAttestorOptions {
  readonly trustDomain: TrustDomain;
  /** The first rule that takes a token decides whom it proves. */
  readonly rules: readonly OidcRule[];
}

/**
 * What tokens may be signed with: asymmetric keys only, so that nobody can sign with a public key
 * (RFC 8725 section 3.1); "none" is not among them.
 */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];
/** Milliseconds that the keys of an issuer may take to come. */
const FETCH_MS_MAX = 5000;

/** Knows callers by tokens of OIDC issuers, as far as rules say so. */
export class OidcTokenAttestor implements Attestor {
  readonly #options: OidcTokenAttestorOptions;
  readonly #clock: Clock;
  readonly #keys: ReadonlyMap<OidcRule, JWTVerifyGetKey>;

  constructor(options: OidcTokenAttestorOptions, { clock }: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = clock;
    this.#keys = new Map(options.rules.map((rule) => [rule, keysOf(rule)]));
  }

  async attest({ metadata }: AttestedCall): Promise<ProvenCaller | undefined> {
    if (this.#options.rules.length === 0) return undefined;
    const token = bearerTokenOf(metadata.authorization);
    const issuer = token && issuerOf(token);
    const rules = this.#options.rules.filter((rule) => rule.issuer === issuer);
    let failure: BulwarkError | undefined;
    for (const rule of rules) {
      try {
        return await this.#verified(token ?? '', rule);
      } catch (error) {
        if (!isBulwarkError(error)) throw error;
        failure ??= error;
      }
    }
    if (failure) throw failure;
    return undefined;
  }

  async #verified(token: string, rule: OidcRule): Promise<ProvenCaller> {
    const { issuer, audiences } = rule;
    const payload = await jwtVerify(token, this.#keys.get(rule) ?? keysOf(rule), {
      issuer,
      audience: [...audiences],
      algorithms: ALGORITHMS,
      requiredClaims: ['exp', 'aud'],
      currentDate: new Date(this.#clock.now()),
    }).then(
      (verified) => verified.payload,
      (cause: unknown) => {
        throw refused(issuer, 'does not verify', cause);
      },
    );
    const missing = Object.entries(rule.claims).find(([name, text]) => payload[name] !== text);
    if (missing) throw refused(issuer, `does not have the claim ${missing[0]} that is asked for`);
    return {
      identity: workloadSpiffeId({
        trustDomain: this.#options.trustDomain,
        namespace: claimedValue(rule.namespace, payload, issuer),
        serviceAccount: claimedValue(rule.serviceAccount, payload, issuer),
      }),
      method: 'oidc-token',
      proof: [issuer, payload.jti ?? payload.sub ?? ''].join(' '),
    };
  }
}

function claimedValue(value: OidcValue, payload: JWTPayload, issuer: string): string {
  if ('fixed' in value) return value.fixed;
  const claimed = Object.hasOwn(payload, value.claim) ? payload[value.claim] : undefined;
  if (typeof claimed === 'string') return claimed;
  throw refused(issuer, `has no claim ${value.claim}`);
}

/** The issuer that a token claims, to find its rules; nothing is proven by it. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined; // no JWT: somebody else may know it
  }
}

/** Files are read for each token, so that they can be replaced. */
function keysOf({ jwks }: OidcRule): JWTVerifyGetKey {
  if ('uri' in jwks) return createRemoteJWKSet(jwks.uri, { timeoutDuration: FETCH_MS_MAX });
  return async (header, token) => {
    const set = JSON.parse(await readFile(jwks.file, 'utf8')) as JSONWebKeySet;
    return createLocalJWKSet(set)(header, token);
  };
}

function refused(issuer: string, why: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_UNAUTHENTICATED', `the token of ${issuer} ${why}`, { cause });
}
