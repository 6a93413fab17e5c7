import { createHash } from 'node:crypto';
import type { RandomSource } from '#base/random.ts';
import type { Certificate } from '#pki/certificate.ts';

const RANDOM_DIGITS = 32;
/** Where the authority is named, a serial has so many digits of its name, and fewer random ones. */
const PREFIX_DIGITS = 16;
const NAMED_RANDOM_DIGITS = 22;
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

  /**
   * The next one, lower case hex.
   * @param prefix `serialPrefix` of an authority among others below one root, each of which must be
   *   able to tell its own serials from theirs; there are 88 random bits then
   */
  next(prefix = ''): string {
    if (this.#stock === '') {
      const bytes = this.#random.bytes((STOCK * RANDOM_DIGITS) / 2);
      this.#stock = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
    }
    const digits = this.#stock.slice(0, RANDOM_DIGITS);
    this.#stock = this.#stock.slice(RANDOM_DIGITS);
    return prefix === '' ? `1${digits}` : `1${prefix}${digits.slice(0, NAMED_RANDOM_DIGITS)}`;
  }
}

const PREFIXES = new WeakMap<Certificate, string>();

/** What all serials of an authority that is no root begin with: a part of its key's hash. */
export function serialPrefix(authority: Certificate): string {
  const known = PREFIXES.get(authority);
  if (known !== undefined) return known;
  const hash = createHash('sha256').update(authority.spki).digest('hex');
  const prefix = hash.slice(0, PREFIX_DIGITS);
  PREFIXES.set(authority, prefix);
  return prefix;
}

/**
 * Whether only this authority can have given a serial: what it revokes says nothing about others
 * even where nobody looks at who signed. Serials of a root are shorter.
 */
export function isSerialOf(serial: string, authority: Certificate): boolean {
  const length = 1 + PREFIX_DIGITS + NAMED_RANDOM_DIGITS;
  return serial.length === length && serial.startsWith(`1${serialPrefix(authority)}`);
}
