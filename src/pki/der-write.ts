/** ASN.1 tags that we write and read (X.690, X.680). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of a context-specific element: `[number]`, primitive or constructed. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | number;
}

/** An element that is still to be written. */
interface DerNode {
  readonly tag: number;
  readonly contents: readonly DerPart[];
  /** Bytes of the contents. */
  readonly length: number;
}

/**
 * What an element is made of: elements, bytes that are DER already or plain contents, or text of
 * one byte for each character.
 */
export type DerPart = DerNode | Uint8Array | string;

/**
 * One element: tag, and the contents one after the other (X.690 section 8.1, definite form).
 * Nothing is copied yet.
 */
export function element(tag: number, ...contents: readonly DerPart[]): DerPart {
  let length = 0;
  for (const part of contents) length += sizeOf(part);
  return { tag, contents, length };
}

/**
 * The bytes of an element; written in one go, since many small arrays cost more than what is in
 * them.
 */
export function encodeDer(part: DerPart): Uint8Array<ArrayBuffer> {
  // From the pool of Buffer, since memory of its own costs more than what is written into it; as a
  // plain array, since views of a Buffer cost several times as much.
  const { buffer, byteOffset, length } = Buffer.allocUnsafe(sizeOf(part));
  const bytes = new Uint8Array(buffer, byteOffset, length);
  write(part, bytes, 0);
  return bytes;
}

function sizeOf(part: DerPart): number {
  return isNode(part) ? headerLength(part.length) + part.length : part.length;
}

function isNode(part: DerPart): part is DerNode {
  return typeof part !== 'string' && !(part instanceof Uint8Array);
}

function headerLength(length: number): number {
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  return length < 0x10000 ? 4 : 5;
}

/** Returns where the next part goes. */
function write(part: DerPart, bytes: Uint8Array, start: number): number {
  if (typeof part === 'string') {
    for (let index = 0; index < part.length; index += 1)
      bytes[start + index] = part.charCodeAt(index);
    return start + part.length;
  }
  if (part instanceof Uint8Array) {
    bytes.set(part, start);
    return start + part.length;
  }
  const { tag, length, contents } = part;
  const header = headerLength(length);
  bytes[start] = tag;
  bytes[start + 1] = header === 2 ? length : 0x80 | (header - 2);
  for (let index = header - 1, left = length; index > 1; index -= 1, left >>>= 8)
    bytes[start + index] = left & 0xff;
  let offset = start + header;
  for (const inner of contents) offset = write(inner, bytes, offset);
  return offset;
}

/** SEQUENCE. */
export function sequence(...contents: readonly DerPart[]): DerPart {
  return element(TAG.sequence, ...contents);
}

/** SET; the caller gives the elements in DER order. */
export function set(...contents: readonly DerPart[]): DerPart {
  return element(TAG.set, ...contents);
}

/** BOOLEAN TRUE; DER leaves FALSE out where it is the default. */
export const TRUE: Uint8Array = encodeDer(element(TAG.boolean, Uint8Array.of(0xff)));

/** NULL. */
export const NULL: Uint8Array = encodeDer(element(TAG.null));

const ZERO = Uint8Array.of(0);

/** INTEGER from the bytes of a number that is not negative, big end first. */
export function unsignedInteger(bytes: Uint8Array): DerPart {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const shortest = start === 0 ? bytes : bytes.subarray(start);
  const needsZero = shortest.length === 0 || (shortest[0] ?? 0) >= 0x80;
  return needsZero ? element(TAG.integer, ZERO, shortest) : element(TAG.integer, shortest);
}

/** OBJECT IDENTIFIER from its dotted form, encoded: for constants. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return encodeDer(element(TAG.oid, Uint8Array.from(bytes)));
}

/** BIT STRING of whole bytes. */
export function bitString(bytes: Uint8Array): DerPart {
  return element(TAG.bitString, ZERO, bytes);
}

/**
 * BIT STRING of named bits; trailing zeros are left out, as DER wants (X.690 section 11.2.2).
 * @param bits a number with bit n set for the one that is named n, n below 16
 */
export function namedBits(bits: number): DerPart {
  const count = 32 - Math.clz32(bits);
  const bytes = new Uint8Array(Math.ceil(count / 8));
  for (let bit = 0; bit < count; bit += 1) {
    if ((bits >> bit) & 1) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  return element(TAG.bitString, Uint8Array.of(bytes.length * 8 - count), bytes);
}

/** OCTET STRING. */
export function octetString(contents: DerPart): DerPart {
  return element(TAG.octetString, contents);
}

/** UTF8String. */
export function utf8String(text: string): DerPart {
  return element(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/**
 * Time as certificates write it: UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 section
 * 4.1.2.5).
 * @param atMs milliseconds since 1970; fractions of a second are cut off
 */
export function time(atMs: number): DerPart {
  const at = new Date(atMs);
  const year = at.getUTCFullYear();
  const isShort = year < 2050;
  const parts = [at.getUTCMonth() + 1, at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes()];
  let text = isShort ? twoDigits(year % 100) : String(year);
  for (const part of parts) text += twoDigits(part);
  text += `${twoDigits(at.getUTCSeconds())}Z`;
  return element(isShort ? TAG.utcTime : TAG.generalizedTime, text);
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
