import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { Clock } from '#base/clock.ts';
import type { TokenAuthority } from '#caclient/ca-client.ts';
import type { IssuedToken } from '#caclient/token-messages.ts';

export interface JwtSvidCacheDeps {
  readonly authority: TokenAuthority;
  readonly clock: Clock;
}

interface Entry {
  /** One request for all who ask at the same time. */
  readonly token: Promise<IssuedToken>;
  /** When a new one is asked for, wall-clock milliseconds; unknown while it is under way. */
  renewAt: number;
  /** Wall-clock milliseconds. */
  expiresAt: number;
}

const ENTRIES_MAX = 1000;

/**
 * The tokens of one workload, by audience: each is used for half of its life. While the authority
 * is away, one that has not ended serves on.
 */
export class JwtSvidCache {
  readonly #deps: JwtSvidCacheDeps;
  /** The one that was made longest ago first. */
  readonly #entries = new Map<string, Entry>();

  constructor(deps: JwtSvidCacheDeps) {
    this.#deps = deps;
  }

  /**
   * A token for this audience, by the certificate that the workload has.
   * @throws BulwarkError as TokenAuthority.issueToken does
   */
  async token(audience: readonly string[], secret: WorkloadSecret): Promise<IssuedToken> {
    const { clock } = this.#deps;
    const key = JSON.stringify([secret.identity, [...new Set(audience)].sort()]);
    const known = this.#entries.get(key);
    if (known && clock.now() < known.renewAt) return known.token;
    const entry = this.#ask(audience, secret);
    this.#remember(key, entry);
    try {
      const token = await entry.token;
      entry.expiresAt = token.expiresAt;
      entry.renewAt = (clock.now() + token.expiresAt) / 2;
      return token;
    } catch (error) {
      const stillGood = known && clock.now() < known.expiresAt;
      if (this.#entries.get(key) === entry) {
        if (stillGood) this.#entries.set(key, known);
        else this.#entries.delete(key);
      }
      if (stillGood) return known.token;
      throw error;
    }
  }

  #ask(audience: readonly string[], secret: WorkloadSecret): Entry {
    const token = this.#deps.authority.issueToken(audience, secret);
    return { token, renewAt: Number.POSITIVE_INFINITY, expiresAt: 0 };
  }

  #remember(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > ENTRIES_MAX && oldest !== undefined) this.#entries.delete(oldest);
  }
}
