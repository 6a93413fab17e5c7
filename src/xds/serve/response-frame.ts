import { assert } from '#base/assert.ts';
import type { XdsResource } from '#xds/resource.ts';
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
  const texts = [
    { tag: TAG.typeUrl, text: typeUrl },
    { tag: TAG.nonce, text: nonce },
    ...removed.map((text) => ({ tag: TAG.removedResources, text })),
  ].map(({ tag, text }) => ({ tag, bytes: Buffer.from(text, 'utf8') }));
  const fields = [
    ...changed.map(({ encoded }) => ({ tag: TAG.resources, bytes: encoded })),
    ...texts,
  ];
  let size = 0;
  for (const { bytes } of fields) size += 1 + varintSize(bytes.length) + bytes.length;
  const frame = Buffer.allocUnsafeSlow(HEAD_BYTES + size);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(size, 1);
  let at = HEAD_BYTES;
  for (const { tag, bytes } of fields) {
    frame[at] = tag;
    at = writeVarint(frame, bytes.length, at + 1);
    frame.set(bytes, at);
    at += bytes.length;
  }
  assert(at === frame.length, 'a response frame has another size than computed');
  return frame;
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

/** How much a FrameCache keeps. */
export interface FrameCacheOptions {
  /** Bytes of all frames together; the ones that were not used for longest go first. */
  readonly bytesMax: number;
  /** To be told of each frame that is built. */
  readonly onBuilt?: (typeUrl: string, bytesCount: number) => void;
}

/**
 * Frames that were built, so that streams which are told the same get the same bytes, nonce
 * included: a nonce only has to be told apart on its own stream. A frame is found by the identity
 * of the resources in it.
 */
export class FrameCache {
  readonly #options: FrameCacheOptions;
  /** In the order of use, oldest first. */
  readonly #frames = new Map<string, ResponseFrame>();
  readonly #ids = new WeakMap<XdsResource, number>();
  /** A change that a diff gave out is the same object for all who go the same way. */
  readonly #keys = new WeakMap<ResourceChange, string>();
  /** The frame before this one: most often the next proxy is told the same. */
  #last: { typeUrl: string; change: ResourceChange; frame: ResponseFrame } | undefined;
  #idsCount = 0;
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
    const key = `${typeUrl} ${this.#keyOf(change)}`;
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

  #keyOf(change: ResourceChange): string {
    const known = this.#keys.get(change);
    if (known !== undefined) return known;
    const names = change.removed.map((name) => `${name.length}:${name}`).join();
    const ids = change.changed.map((resource) => this.#idOf(resource)).join();
    const key = `${ids} ${names}`;
    this.#keys.set(change, key);
    return key;
  }

  #idOf(resource: XdsResource): number {
    const known = this.#ids.get(resource);
    if (known !== undefined) return known;
    this.#idsCount += 1;
    this.#ids.set(resource, this.#idsCount);
    return this.#idsCount;
  }

  #keep(key: string, frame: ResponseFrame): void {
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
