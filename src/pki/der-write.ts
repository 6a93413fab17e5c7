/** ASN.1 tags that we write and read (X.690, X.680). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of a context-specific element: `[number]`, primitive or constructed. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | number;
}

/** One element: tag, length, and the contents one after the other (X.690 section 8.1, definite form). */
export function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  const header = headerLength(length);
  const bytes = Buffer.allocUnsafe(header + length);
  bytes[0] = tag;
  writeLength(bytes, length, header);
  let offset = header;
  for (const content of contents) {
    bytes.set(content, offset);
    offset += content.length;
  }
  return bytes;
}

function headerLength(length: number): number {
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  return length < 0x10000 ? 4 : 5;
}

function writeLength(bytes: Buffer, length: number, header: number): void {
  if (header === 2) {
    bytes[1] = length;
    return;
  }
  bytes[1] = 0x80 | (header - 2);
  bytes.writeUIntBE(length, 2, header - 2);
}

/** SEQUENCE of elements that are encoded already. */
export function sequence(...contents: readonly Uint8Array[]): Uint8Array {
  return element(TAG.sequence, ...contents);
}

/** SET of elements that are encoded already; the caller gives them in DER order. */
export function set(...contents: readonly Uint8Array[]): Uint8Array {
  return element(TAG.set, ...contents);
}

/** BOOLEAN TRUE; DER leaves FALSE out where it is the default. */
export const TRUE: Uint8Array = element(TAG.boolean, Uint8Array.of(0xff));

/** NULL. */
export const NULL: Uint8Array = element(TAG.null);

/** INTEGER from the bytes of a number that is not negative, big end first. */
export function unsignedInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const shortest = bytes.subarray(start);
  const needsZero = shortest.length === 0 || (shortest[0] ?? 0) >= 0x80;
  return needsZero
    ? element(TAG.integer, Uint8Array.of(0), shortest)
    : element(TAG.integer, shortest);
}

/** OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return element(TAG.oid, Uint8Array.from(bytes));
}

/** BIT STRING of whole bytes. */
export function bitString(bytes: Uint8Array): Uint8Array {
  return element(TAG.bitString, Uint8Array.of(0), bytes);
}

/** BIT STRING of named bits, bit 0 first: trailing zeros are left out, as DER wants (X.690 section 11.2.2). */
export function namedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...bits);
  const bytes = new Uint8Array(Math.floor(last / 8) + 1);
  for (const bit of bits) {
    const index = bit >> 3;
    bytes[index] = (bytes[index] ?? 0) | (0x80 >> (bit & 7));
  }
  const unused = last < 0 ? 0 : 7 - (last & 7);
  return element(TAG.bitString, Uint8Array.of(unused), bytes);
}

/** OCTET STRING. */
export function octetString(bytes: Uint8Array): Uint8Array {
  return element(TAG.octetString, bytes);
}

/** UTF8String. */
export function utf8String(text: string): Uint8Array {
  return element(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/**
 * Time as certificates write it: UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5).
 * @param atMs milliseconds since 1970; fractions of a second are cut off
 */
export function time(atMs: number): Uint8Array {
  const digits = new Date(atMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return atMs < Date.UTC(2050, 0)
    ? element(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : element(TAG.generalizedTime, Buffer.from(digits, 'latin1'));
}
