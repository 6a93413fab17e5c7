import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';

/** Flag and length before each message. */
const HEAD_BYTES = 5;

/** What a MessageReader takes. */
export interface MessageReaderOptions {
  /** Bytes of one message; a longer one is refused as soon as its length is read. */
  readonly messageBytesMax: number;
}

/**
 * Cuts the bytes of one direction of a call into messages (grpc PROTOCOL-HTTP2,
 * Length-Prefixed-Message). Memory grows with what arrived, not with what a length announces, and
 * in doublings, so tiny pieces cost no more than large ones.
 */
export class MessageReader {
  readonly #messageBytesMax: number;
  /** An incomplete message: the first `#size` bytes of the buffer. */
  #pending: Buffer = Buffer.alloc(0);
  #size = 0;

  constructor({ messageBytesMax }: MessageReaderOptions) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Bytes of memory held for an incomplete message. */
  get heldBytes(): number {
    return this.#pending.length;
  }

  /**
   * The messages that `chunk` completes, in order; they may share its memory.
   * @throws GrpcStatusError UNIMPLEMENTED for a compressed message, RESOURCE_EXHAUSTED for one that
   * is too long,
   *   INTERNAL for an unknown flag; whatever follows is then meaningless
   */
  *read(chunk: Buffer): Generator<Uint8Array> {
    const bytes = this.#size === 0 ? chunk : this.#append(chunk);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = this.#messageLength(bytes, at);
      const end = at + HEAD_BYTES + length;
      if (bytes.length < end) break;
      yield bytes.subarray(at + HEAD_BYTES, end);
      at = end;
    }
    if (at > 0 || this.#size === 0) this.#keep(bytes.subarray(at));
  }

  /** @throws GrpcStatusError INTERNAL when the last message is incomplete */
  finish(): void {
    if (this.#size === 0) return;
    throw new GrpcStatusError(GRPC_STATUS.internal, 'the request ends within a message');
  }

  #messageLength(bytes: Buffer, at: number): number {
    const flag = bytes.readUInt8(at);
    if (flag === 1)
      throw new GrpcStatusError(GRPC_STATUS.unimplemented, 'compressed messages are not supported');
    if (flag !== 0)
      throw new GrpcStatusError(GRPC_STATUS.internal, 'the request is not made of gRPC messages');
    const length = bytes.readUInt32BE(at + 1);
    if (length > this.#messageBytesMax) {
      const text = `a message of ${length} bytes is over the limit of ${this.#messageBytesMax}`;
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, text);
    }
    return length;
  }

  /** Adds to the incomplete message and returns all its bytes. */
  #append(chunk: Buffer): Buffer {
    const size = this.#size + chunk.length;
    if (size > this.#pending.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#pending.length));
      this.#pending.copy(larger, 0, 0, this.#size);
      this.#pending = larger;
    }
    chunk.copy(this.#pending, this.#size);
    this.#size = size;
    return this.#pending.subarray(0, size);
  }

  /**
   * Starts anew with the rest behind the last whole message; messages already given out stay as
   * they are.
   */
  #keep(rest: Buffer): void {
    this.#pending = Buffer.from(rest);
    this.#size = rest.length;
  }
}
