import { assert } from '#base/assert.ts';

/**
 * A field of a protobuf message, to be written: text, bytes, a message, or a number from 0 to 2^53.
 * Made by `field`.
 */
export interface MessageField {
  readonly number: number;
  readonly value: FieldValue;
  /** Bytes of the value, without tag and length. */
  readonly size: number;
}

type FieldValue = string | number | Uint8Array | readonly MessageField[];

const LENGTH_DELIMITED = 2;
const FIELD_NUMBER_MAX = 15;

/** One field; its number is at most 15, which makes its tag one byte. */
export function field(number: number, value: FieldValue): MessageField {
  assert(number <= FIELD_NUMBER_MAX, `the tag of field ${number} is longer than a byte`);
  return { number, value, size: sizeOf(value) };
}

/**
 * The bytes of a message of these fields, written in one go: the writer of the generated code
 * grows and copies, which takes ten times as long for a message with a certificate in it.
 */
export function encodeMessage(...fields: readonly MessageField[]): Buffer {
  // Of its own: a message may hold a key, and the pool of Buffer is memory that others see.
  const bytes = Buffer.allocUnsafeSlow(sizeOf(fields));
  writeFields(bytes, 0, fields);
  return bytes;
}

function sizeOf(value: FieldValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'number') return varintSize(value);
  if (value instanceof Uint8Array) return value.length;
  let total = 0;
  for (const inner of value) total += 1 + inner.size + lengthSize(inner);
  return total;
}

/** Bytes of the length before a value; numbers have none. */
function lengthSize({ value, size }: MessageField): number {
  return typeof value === 'number' ? 0 : varintSize(size);
}

function varintSize(value: number): number {
  let size = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) size += 1;
  return size;
}

/** Each of the writers gives where the next byte goes. */
function writeFields(bytes: Buffer, start: number, fields: readonly MessageField[]): number {
  let at = start;
  for (const { number, value, size } of fields) {
    if (typeof value === 'number') {
      bytes[at] = number << 3;
      at = writeVarint(bytes, at + 1, value);
      continue;
    }
    bytes[at] = (number << 3) | LENGTH_DELIMITED;
    at = writeVarint(bytes, at + 1, size);
    if (typeof value === 'string') at += bytes.write(value, at);
    else if (value instanceof Uint8Array) {
      bytes.set(value, at);
      at += size;
    } else at = writeFields(bytes, at, value);
  }
  return at;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) {
    bytes[at] = (left % 0x80) | 0x80;
    at += 1;
  }
  bytes[at] = left;
  return at + 1;
}
