import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

export interface IssuanceRateOptions {
  /** Certificates for one identity in a minute, and at once after a rest; 0 = no limit. */
  readonly perMinute: number;
}

interface Bucket {
  left: number;
  refilledAtMs: number;
}

const MINUTE_MS = 60_000;

/**
 * How many certificates each identity may still have: a bucket that fills evenly over a minute. One
 * that got out of hand cannot keep the authority from serving others.
 */
export class IssuanceRate {
  readonly #perMinute: number;
  readonly #clock: Clock;
  /** Those that are not full, the one used longest ago first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor({ perMinute }: IssuanceRateOptions, { clock }: { readonly clock: Clock }) {
    this.#perMinute = perMinute;
    this.#clock = clock;
  }

  /**
   * Counts one certificate.
   * @throws BulwarkError CA_RATE_LIMITED with `data.retryMs`, when the identity has had too many
   */
  take(identity: string): void {
    if (this.#perMinute === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const bucket = this.#filled(identity, nowMs);
    if (bucket.left < 1) {
      const retryMs = Math.ceil(((1 - bucket.left) * MINUTE_MS) / this.#perMinute);
      const message = `the identity has had ${this.#perMinute} certificates in a minute`;
      throw new BulwarkError('CA_RATE_LIMITED', message, {
        remedy: 'wait, or raise the setting certificatesPerMinute',
        data: { retryMs },
      });
    }
    bucket.left -= 1;
    // Forgetting the one that rested longest gives it at most one burst too many.
    if (this.#buckets.size <= LIMITS.issuanceIdentitiesMax) return;
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      break;
    }
  }

  #filled(identity: string, nowMs: number): Bucket {
    const known = this.#buckets.get(identity);
    const bucket = known ?? { left: this.#perMinute, refilledAtMs: nowMs };
    const earned = ((nowMs - bucket.refilledAtMs) / MINUTE_MS) * this.#perMinute;
    bucket.left = Math.min(this.#perMinute, bucket.left + earned);
    bucket.refilledAtMs = nowMs;
    this.#buckets.delete(identity);
    this.#buckets.set(identity, bucket);
    return bucket;
  }
}
