import { assert } from '#base/assert.ts';
import type { ResourceChange } from '#xds/serve/resource-diff.ts';

/** One DeltaDiscoveryResponse as it goes over the wire, for any number of streams. */
export interface ResponseFrame {
  readonly nonce: string;
  /** The whole gRPC message, with its head. */
  readonly bytes: Buffer;
}

/** Flag and length before a gRPC message. */
const HEAD_BYTES = 5;
/** Field numbers and wire type 2 of DeltaDiscoveryResponse (service/discovery/v3). */
const TAG = { resources: 0x12, typeUrl: 0x22, nonce: 0x2a, removedResources: 0x32 } as const;

/**
 * Encodes a DeltaDiscoveryResponse around resources that are encoded already. By hand, because it
 * is this that is done for each push: one allocation, and each resource copied once.
 */
export function encodeResponseFrame(
  typeUrl: string,
  nonce: string,
  { changed, removed }: Pick<ResourceChange, 'changed' | 'removed'>,
): Buffer {
  let size = textSize(typeUrl) + textSize(nonce);
  for (const { encoded } of changed) size += fieldSize(encoded.length);
  for (const name of removed) size += textSize(name);
  const frame = Buffer.allocUnsafeSlow(HEAD_BYTES + size);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(size, 1);
  let at = HEAD_BYTES;
  for (const { encoded } of changed) {
    at = writeHead(frame, TAG.resources, encoded.length, at);
    frame.set(encoded, at);
    at += encoded.length;
  }
  at = writeText(frame, TAG.typeUrl, typeUrl, at);
  at = writeText(frame, TAG.nonce, nonce, at);
  for (const name of removed) at = writeText(frame, TAG.removedResources, name, at);
  assert(at === frame.length, 'a response frame has another size than computed');
  return frame;
}

/** Bytes of a field with its tag and length. */
function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function textSize(text: string): number {
  return fieldSize(Buffer.byteLength(text, 'utf8'));
}

function writeHead(target: Buffer, tag: number, length: number, start: number): number {
  target[start] = tag;
  return writeVarint(target, length, start + 1);
}

function writeText(target: Buffer, tag: number, text: string, start: number): number {
  const at = writeHead(target, tag, Buffer.byteLength(text, 'utf8'), start);
  return at + target.write(text, at, 'utf8');
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

function writeVarint(target: Buffer, value: number, start: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    target[at] = (rest % 0x80) | 0x80;
    at += 1;
  }
  target[at] = rest;
  return at + 1;
}

/**
 * Resources in a response up to which it is found by what is in it; above, by the change that it
 * tells, which is the same object for all who go the same way.
 */
const KEYED_MAX = 16;

/** How much a FrameCache keeps. */
export interface FrameCacheOptions {
  /** Bytes of all frames together; the ones that were not used for longest go first. */
  readonly bytesMax: number;
  /** To be told of each frame that is built. */
  readonly onBuilt?: (typeUrl: string, bytesCount: number) => void;
}

/**
 * Frames that were built, so that streams which are told the same get the same bytes, nonce
 * included: a nonce only has to be told apart on its own stream.
 */
export class FrameCache {
  readonly #options: FrameCacheOptions;
  /** By what is in it, in the order of use, oldest first. */
  readonly #frames = new Map<string | ResourceChange, ResponseFrame>();
  /** The frame before this one: most often the next proxy is told the same. */
  #last: { typeUrl: string; change: ResourceChange; frame: ResponseFrame } | undefined;
  #nonces = 0;
  #bytes = 0;

  constructor(options: FrameCacheOptions) {
    this.#options = options;
  }

  get(typeUrl: string, change: ResourceChange): ResponseFrame {
    const last = this.#last;
    if (last?.change === change && last.typeUrl === typeUrl) return last.frame;
    const frame = this.#find(typeUrl, change);
    this.#last = { typeUrl, change, frame };
    return frame;
  }

  #find(typeUrl: string, change: ResourceChange): ResponseFrame {
    const key = this.#keyOf(typeUrl, change);
    const known = this.#frames.get(key);
    if (known) {
      this.#frames.delete(key);
      this.#frames.set(key, known);
      return known;
    }
    this.#nonces += 1;
    const nonce = String(this.#nonces);
    const frame = { nonce, bytes: encodeResponseFrame(typeUrl, nonce, change) };
    this.#keep(key, frame);
    this.#options.onBuilt?.(typeUrl, frame.bytes.length);
    return frame;
  }

  #keyOf(typeUrl: string, change: ResourceChange): string | ResourceChange {
    // For many resources, a key costs as much as the frame.
    if (change.changed.length > KEYED_MAX) return change;
    // Each name behind its length, so that no name can pass for two.
    let key = typeUrl;
    for (const { name, version } of change.changed) key += `+${name.length}:${name} ${version}`;
    for (const name of change.removed) key += `-${name.length}:${name}`;
    return key;
  }

  #keep(key: string | ResourceChange, frame: ResponseFrame): void {
    const { bytesMax } = this.#options;
    if (frame.bytes.length > bytesMax) return;
    this.#frames.set(key, frame);
    this.#bytes += frame.bytes.length;
    for (const [oldest, { bytes }] of this.#frames) {
      if (this.#bytes <= bytesMax) break;
      this.#frames.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }
}
