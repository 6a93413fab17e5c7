import type { RandomSource } from '#base/random.ts';

const RANDOM_DIGITS = 32;
/**
 * Serials for which randomness is fetched at once: asking for it costs more than what is asked for.
 */
const STOCK = 64;

/**
 * Serial numbers of 128 random bits with a one above them: never negative, never zero, always of
 * the same length (RFC 5280 section 4.1.2.2 allows 20 bytes), and no two alike in practice, over
 * restarts and replicas, without a counter that could be lost.
 */
export class SerialNumbers {
  readonly #random: RandomSource;
  #stock = '';

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** The next one, lower case hex. */
  next(): string {
    if (this.#stock === '') {
      const bytes = this.#random.bytes((STOCK * RANDOM_DIGITS) / 2);
      this.#stock = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
    }
    const digits = this.#stock.slice(0, RANDOM_DIGITS);
    this.#stock = this.#stock.slice(RANDOM_DIGITS);
    return `1${digits}`;
  }
}
