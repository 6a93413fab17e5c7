import type { Clock } from '#base/clock.ts';
import type { RandomSource } from '#base/random.ts';

/** Signatures that are all verified: so many in a second, and so many at once after a rest. */
const PER_SECOND = 1000;
/** Of the rest, one in so many is, chosen at random. */
const SAMPLE = 4;

/**
 * Decides whether the signature on a certificate that was just made is verified: always, up to 1000
 * certificates a second, and on a random quarter of what a burst brings beyond that. Everything
 * else about a certificate is checked always (verify-issued.ts). Reasons and measurements:
 * docs/adr/0007-checking-issued-certificates.md.
 */
export class SignatureBudget {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  #left = PER_SECOND;
  #refilledAtMs: number;

  constructor({ clock, random }: { readonly clock: Clock; readonly random: RandomSource }) {
    this.#clock = clock;
    this.#random = random;
    this.#refilledAtMs = clock.monotonicMs();
  }

  /** Whether the next signature is to be verified; counts it. */
  takes(): boolean {
    const nowMs = this.#clock.monotonicMs();
    const earned = ((nowMs - this.#refilledAtMs) / 1000) * PER_SECOND;
    this.#left = Math.min(PER_SECOND, this.#left + earned);
    this.#refilledAtMs = nowMs;
    if (this.#left < 1) return this.#random.fraction() < 1 / SAMPLE;
    this.#left -= 1;
    return true;
  }
}
