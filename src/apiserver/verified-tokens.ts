import { hash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';

/**
 * The claims of tokens whose signature was verified, so that the same token is not verified with
 * each call. Says nothing about the account and what else a token is bound to: they are to be asked
 * for each time. Tokens are known by their SHA-256, so none is kept.
 */
export class VerifiedTokens {
  readonly #clock: Clock;
  /** The one used longest ago first. */
  readonly #claims = new Map<string, JWTPayload>();

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** What a token says that verified before and is in time; undefined when it is to be verified. */
  get(token: string): JWTPayload | undefined {
    const digest = digestOf(token);
    const claims = this.#claims.get(digest);
    if (!claims) return undefined;
    this.#claims.delete(digest);
    if (!this.#isInTime(claims)) return undefined;
    this.#claims.set(digest, claims);
    return claims;
  }

  /** Remembers the claims of a token that has just been verified. */
  add(token: string, claims: JWTPayload): void {
    this.#claims.set(digestOf(token), claims);
    if (this.#claims.size <= LIMITS.verifiedTokensMax) return;
    for (const oldest of this.#claims.keys()) {
      this.#claims.delete(oldest);
      break;
    }
  }

  /** RFC 7519 sections 4.1.4 and 4.1.5; whole seconds as when it was verified. */
  #isInTime({ nbf, exp }: JWTPayload): boolean {
    const now = Math.floor(this.#clock.now() / 1000);
    return nbf !== undefined && exp !== undefined && nbf <= now && now < exp;
  }
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64');
}
