import { BulwarkError } from '#base/errors.ts';
import { TAG } from '#pki/der-write.ts';

/** Arcs of an object identifier are at most 2^31 - 1 for us. */
const ARC_MAX = 2 ** 31 - 1;

/**
 * Reads DER from front to back (X.690). Only DER is accepted: definite lengths in their shortest form, tags below 31,
 * nothing left over. Reads no further than its own bytes, whatever the lengths in them say.
 * Every method throws BulwarkError PKI_MALFORMED when the next element is not what was asked for.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** @param what names the thing in messages: `certificate` */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Whether everything was read. */
  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** @throws when something is left */
  end(): void {
    if (!this.isAtEnd) throw this.malformed('something follows its end');
  }

  /** Whether an element comes next that has this tag. */
  nextIs(tag: number): boolean {
    return this.#bytes[this.#offset] === tag;
  }

  /** The tag of the next element. */
  peekTag(): number {
    const tag = this.#bytes[this.#offset];
    if (tag === undefined) throw this.malformed('it ends too early');
    return tag;
  }

  /** The contents of the next element, which must have this tag. */
  contents(tag: number): Uint8Array {
    const { start, end } = this.#next(tag);
    this.#offset = end;
    return this.#bytes.subarray(start, end);
  }

  /** The next element as a whole, header included. */
  whole(tag: number): Uint8Array {
    const from = this.#offset;
    const { end } = this.#next(tag);
    this.#offset = end;
    return this.#bytes.subarray(from, end);
  }

  /** A reader of the contents of the next element. */
  inside(tag: number): DerReader {
    return new DerReader(this.contents(tag), this.#what);
  }

  /** OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    const bytes = this.contents(TAG.oid);
    const arcs: number[] = [];
    let arc = 0;
    let starts = true;
    for (const byte of bytes) {
      if (starts && byte === 0x80) throw this.malformed('an object identifier is not minimal');
      arc = arc * 128 + (byte & 0x7f);
      if (arc > ARC_MAX) throw this.malformed('an object identifier is too large');
      starts = byte < 0x80;
      if (!starts) continue;
      arcs.push(arc);
      arc = 0;
    }
    const first = arcs[0];
    if (first === undefined || !starts) throw this.malformed('an object identifier is cut off');
    const root = Math.min(2, Math.floor(first / 40));
    return [root, first - root * 40, ...arcs.slice(1)].join('.');
  }

  /** INTEGER that is not negative: its bytes, big end first, without a leading zero byte unless it is 0. */
  unsignedInteger(): Uint8Array {
    const bytes = this.contents(TAG.integer);
    const [first, second] = bytes;
    if (first === undefined) throw this.malformed('an integer is empty');
    if (first >= 0x80) throw this.malformed('an integer is negative');
    if (first !== 0 || second === undefined) return bytes;
    if (second < 0x80) throw this.malformed('an integer is not minimal');
    return bytes.subarray(1);
  }

  /** INTEGER from 0 to 2^31 - 1. */
  smallInteger(): number {
    const bytes = this.unsignedInteger();
    if (bytes.length > 4) throw this.malformed('an integer is too large');
    const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    if (value > ARC_MAX) throw this.malformed('an integer is too large');
    return value;
  }

  /** BOOLEAN. */
  boolean(): boolean {
    const [byte, ...more] = this.contents(TAG.boolean);
    if ((byte !== 0 && byte !== 0xff) || more.length > 0)
      throw this.malformed('a boolean is malformed');
    return byte === 0xff;
  }

  /** BIT STRING of whole bytes. */
  bitString(): Uint8Array {
    const bytes = this.contents(TAG.bitString);
    if (bytes[0] !== 0) throw this.malformed('a bit string has a wrong length');
    return bytes.subarray(1);
  }

  /** BIT STRING of named bits: the numbers of those that are set. */
  namedBits(): ReadonlySet<number> {
    const bytes = this.contents(TAG.bitString);
    const unused = bytes[0] ?? 8;
    const last = bytes.at(-1) ?? 0;
    const isMinimal = bytes.length === 1 ? unused === 0 : ((last >> unused) & 1) === 1;
    if (unused > 7 || !isMinimal || (last & ((1 << unused) - 1)) !== 0)
      throw this.malformed('a bit string is malformed');
    const bits = new Set<number>();
    for (let bit = 0; bit < (bytes.length - 1) * 8; bit += 1) {
      if ((bytes[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) bits.add(bit);
    }
    return bits;
  }

  /** UTCTime or GeneralizedTime as certificates write it, in milliseconds since 1970 (RFC 5280 section 4.1.2.5). */
  time(): number {
    const isShort = this.nextIs(TAG.utcTime);
    const digits = latin1(this.contents(isShort ? TAG.utcTime : TAG.generalizedTime));
    if (!(isShort ? /^\d{12}Z$/ : /^\d{14}Z$/).test(digits))
      throw this.malformed('a time is malformed');
    const century = Number(digits.slice(0, 2)) >= 50 ? '19' : '20';
    const [year, month, day, hour, minute, second] = (isShort ? century + digits : digits)
      .replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1 $2 $3 $4 $5 $6')
      .split(' ');
    const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
    const atMs = Date.parse(iso);
    if (Number.isNaN(atMs) || new Date(atMs).toISOString() !== iso)
      throw this.malformed('a time does not exist');
    return atMs;
  }

  /** The error to throw, for callers that find something wrong in what they read. */
  malformed(detail: string): BulwarkError {
    return new BulwarkError(
      'PKI_MALFORMED',
      `the ${this.#what} is not properly encoded: ${detail}`,
    );
  }

  /** Checks header and bounds of the next element. */
  #next(tag: number): { readonly start: number; readonly end: number } {
    const bytes = this.#bytes;
    const found = this.peekTag();
    if (found !== tag || (found & 0x1f) === 0x1f)
      throw this.malformed(`tag ${found} where ${tag} belongs`);
    let start = this.#offset + 2;
    let length = bytes[this.#offset + 1] ?? 0x80;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3) throw this.malformed('a length is malformed');
      length = 0;
      for (let index = 0; index < count; index += 1)
        length = length * 256 + (bytes[start + index] ?? 0);
      start += count;
      if (length < 0x80 || length < 2 ** (8 * (count - 1)))
        throw this.malformed('a length is not minimal');
    }
    const end = start + length;
    if (end > bytes.length) throw this.malformed('it ends too early');
    return { start, end };
  }
}

/** Bytes as text, one character for each. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
