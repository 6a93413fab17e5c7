import { decodeJwt, errors, jwtVerify, SignJWT } from 'jose';
import type { ApiObject } from '#api/object.ts';
import type { Caller } from '#apiserver/authorize.ts';
import {
  type BoundClaims,
  type ObjectClaim,
  problemOfBound,
  readClaims,
} from '#apiserver/token-binding.ts';
import type { TokenKey } from '#apiserver/token-key.ts';
import { VerifiedTokens } from '#apiserver/verified-tokens.ts';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { randomUid } from '#store/revise.ts';
import type { Store } from '#store/store.ts';

/** What a token turned out to be. `error` says why not, for the log and for TokenReview. */
export type TokenResult =
  | {
      readonly authenticated: true;
      readonly namespace: string;
      readonly serviceAccount: string;
      readonly uid: string;
      /** Those asked for that the token has. */
      readonly audiences: readonly string[];
      /** The token's `jti`. */
      readonly tokenId: string;
      /** The pod that it is bound to, which exists. */
      readonly pod?: ObjectClaim;
      /** The node of that pod, or the one that it is bound to itself, which exists then. */
      readonly node?: ObjectClaim;
    }
  | { readonly authenticated: false; readonly error: string };

/** A new token. */
export interface IssuedToken {
  readonly token: string;
  /** Its name (`jti`), which is no secret. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface ServiceAccountTokensOptions {
  /** `iss` of the tokens, and the audience of the API itself. */
  readonly issuer: string;
}

export interface ServiceAccountTokensDeps {
  readonly store: Store;
  readonly key: TokenKey;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

const INVALID = 'invalid bearer token';

/**
 * Issues and checks third-party tokens of service accounts: JWTs with audience and expiry, bound to
 * the uid of the account, and to that of a pod, node or Secret where asked for, so that they end
 * with it (kubernetes.io, "Managing Service Accounts";
 * Istio "third party tokens").
 */
export class ServiceAccountTokens {
  readonly issuer: string;
  readonly #deps: ServiceAccountTokensDeps;
  readonly #verifiedBefore: VerifiedTokens;

  constructor({ issuer }: ServiceAccountTokensOptions, deps: ServiceAccountTokensDeps) {
    this.issuer = issuer;
    this.#deps = deps;
    this.#verifiedBefore = new VerifiedTokens(deps);
  }

  /** The key by which others verify tokens (RFC 7517). */
  get publicJwk(): Readonly<Record<string, string | undefined>> {
    const { publicKey, keyId } = this.#deps.key;
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
    return { use: 'sig', kty, kid: keyId, alg: 'ES256', crv, x, y };
  }

  /** A token of `account`, good from now on for `seconds`. */
  async issue(
    account: ApiObject,
    {
      audiences,
      seconds,
      bound = {},
    }: {
      readonly audiences: readonly string[];
      readonly seconds: number;
      readonly bound?: BoundClaims;
    },
  ): Promise<IssuedToken> {
    const { key, clock, random } = this.#deps;
    const { name, namespace = '', uid } = account.metadata;
    const issuedAt = Math.floor(clock.now() / 1000);
    const id = randomUid(random);
    const token = await new SignJWT({
      'kubernetes.io': { namespace, ...bound, serviceaccount: { name, uid } },
    })
      .setProtectedHeader({ alg: 'ES256', kid: key.keyId })
      .setAudience([...audiences])
      .setExpirationTime(issuedAt + seconds)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setIssuer(this.issuer)
      .setJti(id)
      .setSubject(`system:serviceaccount:${namespace}:${name}`)
      .sign(key.privateKey);
    return { token, id, expiresAt: (issuedAt + seconds) * 1000 };
  }

  /**
   * Whether the token is one of ours, in time, for one of `audiences` (those of the API when left
   * out), and its account still the same. Never throws for a bad token.
   */
  async reviewToken(
    token: string,
    audiences: readonly string[] = [this.issuer],
  ): Promise<TokenResult> {
    const claims = await this.#verified(token);
    if (typeof claims === 'string') return this.#refuse(claims);
    const { aud, jti } = claims;
    const held = Array.isArray(aud) ? aud : [aud ?? ''];
    const common = audiences.filter((audience) => held.includes(audience));
    if (common.length === 0) {
      const [has, wants] = [goList(held), goList(audiences)];
      return this.#refuse(`token audiences ${has} is invalid for the target audiences ${wants}`);
    }
    const own = readClaims(claims['kubernetes.io']);
    if (!own) return this.#refuse('token has no service account');
    const { namespace, bound } = own;
    const { name, uid } = own.serviceAccount;
    const account = await this.#deps.store.get({ kind: 'serviceaccounts', namespace, name });
    if (!account) return this.#refuse(`serviceaccounts "${name}" not found`);
    if (account.metadata.uid !== uid) {
      const now = account.metadata.uid ?? '';
      return this.#refuse(`service account UID (${now}) does not match claim (${uid})`);
    }
    const gone = await problemOfBound(this.#deps.store, namespace, bound);
    if (gone !== undefined) return this.#refuse(gone);
    const { pod, node } = bound;
    return {
      authenticated: true,
      namespace,
      serviceAccount: name,
      uid,
      audiences: common,
      tokenId: jti ?? '',
      ...(pod ? { pod } : {}),
      ...(node ? { node } : {}),
    };
  }

  /** The claims of a token that verifies, or why it does not ('' = it is none of ours). */
  async #verified(token: string) {
    if (token.length > LIMITS.tokenBytesMax) return 'token is too long';
    const known = this.#verifiedBefore.get(token);
    if (known) return known;
    try {
      if (decodeJwt(token).iss !== this.issuer) return '';
    } catch {
      return '';
    }
    try {
      const { payload } = await jwtVerify(token, this.#deps.key.publicKey, {
        issuer: this.issuer,
        algorithms: ['ES256'],
        currentDate: new Date(this.#deps.clock.now()),
        requiredClaims: ['exp', 'iat', 'nbf', 'aud', 'sub', 'jti'],
      });
      this.#verifiedBefore.add(token, payload);
      return payload;
    } catch (error) {
      return problemOf(error);
    }
  }

  #refuse(why: string): TokenResult {
    const error = why === '' ? INVALID : `[${INVALID}, ${why}]`;
    this.#deps.log.debug('token refused', { error });
    return { authenticated: false, error };
  }
}

function problemOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'token has expired';
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf') {
    return 'token is not valid yet';
  }
  return 'token does not verify';
}

/** A list as Go prints it with %q. */
function goList(items: readonly string[]): string {
  return `[${items.map((item) => JSON.stringify(item)).join(' ')}]`;
}

/** A service account as a caller, however it proves itself. */
export function accountCaller(namespace: string, serviceAccount: string): Caller {
  return {
    username: `system:serviceaccount:${namespace}:${serviceAccount}`,
    groups: [
      'system:serviceaccounts',
      `system:serviceaccounts:${namespace}`,
      'system:authenticated',
    ],
  };
}

/** The caller that a token of a service account stands for. */
export function callerOf(result: TokenResult & { readonly authenticated: true }): Caller {
  const { namespace, serviceAccount, uid, tokenId, pod, node } = result;
  const prefix = 'authentication.kubernetes.io';
  const about = (what: string, claim: ObjectClaim | undefined) =>
    claim && {
      [`${prefix}/${what}-name`]: [claim.name],
      ...(claim.uid ? { [`${prefix}/${what}-uid`]: [claim.uid] } : {}),
    };
  return {
    ...accountCaller(namespace, serviceAccount),
    uid,
    extra: {
      [`${prefix}/credential-id`]: [`JTI=${tokenId}`],
      ...about('pod', pod),
      ...about('node', node),
    },
  };
}
