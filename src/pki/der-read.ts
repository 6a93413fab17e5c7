import { BulwarkError } from '#base/errors.ts';
import { oid, TAG } from '#pki/der-write.ts';
import { OID } from '#pki/object-ids.ts';

/** Arcs of an object identifier are at most 2^31 - 1 for us. */
const ARC_MAX = 2 ** 31 - 1;

interface KnownOid {
  readonly dotted: string;
  readonly contents: Uint8Array;
}

/** The identifiers that we know, by their length: these are told without being spelled out. */
const KNOWN_OIDS: KnownOid[][] = [];
for (const dotted of Object.values(OID)) {
  const contents = oid(dotted).subarray(2);
  const alike = KNOWN_OIDS[contents.length] ?? [];
  KNOWN_OIDS[contents.length] = [...alike, { dotted, contents }];
}

/**
 * Reads DER from front to back (X.690). Only DER is accepted: definite lengths in their shortest
 * form, tags below 31, nothing left over. Reads no further than its own bytes, whatever the lengths
 * in them say. Every method throws BulwarkError PKI_MALFORMED when the next element is not what was
 * asked for.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #end: number;
  #offset: number;
  /** Where the contents of the element begin that was read last. */
  #start: number;

  /** @param what names the thing in messages: `certificate` */
  constructor(bytes: Uint8Array, what: string, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#what = what;
    this.#offset = start;
    this.#start = start;
    this.#end = end;
  }

  /** Whether everything was read. */
  get isAtEnd(): boolean {
    return this.#offset === this.#end;
  }

  /** @throws when something is left */
  end(): void {
    if (!this.isAtEnd) throw this.malformed('something follows its end');
  }

  /** Whether an element comes next that has this tag. */
  nextIs(tag: number): boolean {
    return this.#offset < this.#end && this.#bytes[this.#offset] === tag;
  }

  /** The tag of the next element. */
  peekTag(): number {
    const tag = this.#bytes[this.#offset];
    if (tag === undefined || this.isAtEnd) throw this.malformed('it ends too early');
    return tag;
  }

  /** The contents of the next element, which must have this tag. */
  contents(tag: number): Uint8Array {
    this.#pass(tag);
    return this.#bytes.subarray(this.#start, this.#offset);
  }

  /** The next element as a whole, header included. */
  whole(tag: number): Uint8Array {
    const from = this.#offset;
    this.#pass(tag);
    return this.#bytes.subarray(from, this.#offset);
  }

  /** A reader of the contents of the next element. */
  inside(tag: number): DerReader {
    this.#pass(tag);
    return new DerReader(this.#bytes, this.#what, this.#start, this.#offset);
  }

  /** OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    this.#pass(TAG.oid);
    const known = KNOWN_OIDS[this.#offset - this.#start]?.find(this.#isLast, this);
    return known?.dotted ?? this.#spellOid(this.#bytes.subarray(this.#start, this.#offset));
  }

  /** Whether the element read last is this one; its length is known to be right. */
  #isLast({ contents }: KnownOid): boolean {
    for (let index = contents.length - 1; index >= 0; index -= 1)
      if (contents[index] !== this.#bytes[this.#start + index]) return false;
    return true;
  }

  #spellOid(bytes: Uint8Array): string {
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

  /**
   * INTEGER that is not negative: its bytes, big end first, without a leading zero byte unless it
   * is 0.
   */
  unsignedInteger(): Uint8Array {
    this.#pass(TAG.integer);
    const start = this.#start;
    const length = this.#offset - start;
    const first = this.#bytes[start] ?? 0;
    const second = this.#bytes[start + 1] ?? 0;
    if (length === 0) throw this.malformed('an integer is empty');
    if (first >= 0x80) throw this.malformed('an integer is negative');
    if (first === 0 && length > 1 && second < 0x80)
      throw this.malformed('an integer is not minimal');
    return this.#bytes.subarray(first === 0 && length > 1 ? start + 1 : start, this.#offset);
  }

  /** INTEGER from 0 to 2^31 - 1. */
  smallInteger(): number {
    const bytes = this.unsignedInteger();
    let value = 0;
    for (const byte of bytes) value = value * 256 + byte;
    if (bytes.length > 4 || value > ARC_MAX) throw this.malformed('an integer is too large');
    return value;
  }

  /** BOOLEAN. */
  boolean(): boolean {
    this.#pass(TAG.boolean);
    const byte = this.#bytes[this.#start];
    if (this.#offset - this.#start !== 1 || (byte !== 0 && byte !== 0xff))
      throw this.malformed('a boolean is malformed');
    return byte === 0xff;
  }

  /** BIT STRING of whole bytes. */
  bitString(): Uint8Array {
    const bytes = this.contents(TAG.bitString);
    if (bytes[0] !== 0) throw this.malformed('a bit string has a wrong length');
    return bytes.subarray(1);
  }

  /** BIT STRING of at most 16 named bits: a number with bit n set for the one that is named n. */
  namedBits(): number {
    this.#pass(TAG.bitString);
    const length = this.#offset - this.#start - 1;
    const unused = this.#bytes[this.#start] ?? 8;
    const last = this.#bytes[this.#offset - 1] ?? 0;
    const isMinimal = length === 0 ? unused === 0 : ((last >> unused) & 1) === 1;
    if (length < 0 || length > 2 || unused > 7 || !isMinimal || (last & ((1 << unused) - 1)) !== 0)
      throw this.malformed('a bit string is malformed');
    let bits = 0;
    for (let bit = 0; bit < length * 8; bit += 1) {
      const byte = this.#bytes[this.#start + 1 + (bit >> 3)] ?? 0;
      if (byte & (0x80 >> (bit & 7))) bits |= 1 << bit;
    }
    return bits;
  }

  /**
   * UTCTime or GeneralizedTime as certificates write it, in milliseconds since 1970 (RFC 5280
   * section 4.1.2.5).
   */
  time(): number {
    const isShort = this.nextIs(TAG.utcTime);
    this.#pass(isShort ? TAG.utcTime : TAG.generalizedTime);
    const yearLength = isShort ? 2 : 4;
    const rest = this.#start + yearLength;
    if (this.#offset !== rest + 11 || this.#bytes[rest + 10] !== 0x5a)
      throw this.malformed('a time is malformed');
    const written = this.#digits(this.#start, yearLength);
    const year = isShort ? (written >= 50 ? 1900 : 2000) + written : written;
    const month = this.#digits(rest, 2);
    const day = this.#digits(rest + 2, 2);
    const hour = this.#digits(rest + 4, 2);
    const minute = this.#digits(rest + 6, 2);
    const second = this.#digits(rest + 8, 2);
    const exists =
      year >= 1000 &&
      month >= 1 &&
      month <= 12 &&
      day >= 1 &&
      day <= daysOf(month, year) &&
      hour < 24 &&
      minute < 60 &&
      second < 60;
    if (!exists) throw this.malformed('a time does not exist');
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }

  /** The number that `length` decimal digits make. */
  #digits(start: number, length: number): number {
    let value = 0;
    for (let index = start; index < start + length; index += 1) {
      const digit = (this.#bytes[index] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) throw this.malformed('a time is malformed');
      value = value * 10 + digit;
    }
    return value;
  }

  /** The error to throw, for callers that find something wrong in what they read. */
  malformed(detail: string): BulwarkError {
    return new BulwarkError(
      'PKI_MALFORMED',
      `the ${this.#what} is not properly encoded: ${detail}`,
    );
  }

  /** Checks header and bounds of the next element, and goes behind it. */
  #pass(tag: number): void {
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
    if (start + length > this.#end) throw this.malformed('it ends too early');
    this.#start = start;
    this.#offset = start + length;
  }
}

/** @param month from 1 to 12 */
function daysOf(month: number, year: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Bytes as text, one character for each. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
