import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { AssertionFailure } from '#base/assert.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { encodeGrpcMessage, parseGrpcTimeoutMs } from '#base/grpc/call-metadata.ts';
import {
  GRPC_STATUS,
  type GrpcCall,
  type GrpcPeer,
  type GrpcServerStream,
  type GrpcStatusCode,
  GrpcStatusError,
  type RequestFault,
} from '#base/grpc/grpc.ts';
import { MessageReader } from '#base/grpc/message-reader.ts';
import type { Logger } from '#base/log.ts';

/** What a call needs from the connection it came on. */
export interface ServerCallDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly peer: GrpcPeer;
  readonly messageBytesMax: number;
  /**
   * Takes more (or gives back) memory for incomplete requests; false when the connection holds too
   * much.
   */
  readonly reserve: (bytes: number) => boolean;
  readonly onFault?: (fault: RequestFault) => void;
}

/** Milliseconds that a peer has to read the rest of a response once its status is given. */
const READ_REST_MS = 10_000;
/** Milliseconds that a peer has to stop sending after the response. */
const LET_GO_MS = 1000;

/**
 * One HTTP/2 stream as a gRPC call. States: open → ending (status given, response on its way) →
 * closed. The status is given once, by the handler, by a fault in the request, by the deadline or
 * by the closing server, whoever is first.
 */
export class ServerCall implements GrpcCall, GrpcServerStream {
  readonly path: string;
  readonly metadata: IncomingHttpHeaders;
  readonly peer: GrpcPeer;
  onMessage: (message: Uint8Array) => void = () => {};
  onEnd: () => void = () => {};
  readonly #stream: ServerHttp2Stream;
  readonly #deps: ServerCallDeps;
  /** Made when the handler asks for it: few do, and an abort is costly. */
  #abort: AbortController | undefined;
  readonly #reader: MessageReader;
  /**
   * The deadline while the call is open, then the bounds on the rest of the response and of the
   * request.
   */
  #timer: Timer | undefined;
  #ending = false;
  #status: GrpcStatusCode | undefined;
  #headSent = false;
  #heldBytes = 0;

  constructor(stream: ServerHttp2Stream, metadata: IncomingHttpHeaders, deps: ServerCallDeps) {
    this.path = metadata[':path'] ?? '';
    this.metadata = metadata;
    this.peer = deps.peer;
    this.#stream = stream;
    this.#deps = deps;
    this.#reader = new MessageReader({ messageBytesMax: deps.messageBytesMax });
    // Whatever goes wrong with the stream, `close` follows; the peer's resets are not our errors.
    stream.on('error', (error) => deps.log.debug('gRPC stream failed', { path: this.path, error }));
    stream.on('close', () => this.#closed());
  }

  /** A stream's handler sees the call and the stream in one. */
  get call(): GrpcCall {
    return this;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#ending && !this.#abort.signal.aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  get stream(): ServerHttp2Stream {
    return this.#stream;
  }

  /** The status that was given, if any. */
  get status(): GrpcStatusCode | undefined {
    return this.#status;
  }

  /** Whether a status was given, or the stream is gone. */
  get ended(): boolean {
    return this.#ending;
  }

  /**
   * Sets the deadline from the request; false when the request's is malformed and the call ended.
   */
  startDeadline(): boolean {
    const text = this.metadata['grpc-timeout'];
    if (text === undefined) return true;
    const timeoutMs = parseGrpcTimeoutMs(String(text));
    if (timeoutMs === undefined) {
      this.end(GRPC_STATUS.invalidArgument, 'grpc-timeout is malformed');
      return false;
    }
    this.#setTimer(timeoutMs, () => {
      this.end(GRPC_STATUS.deadlineExceeded, 'the deadline passed');
    });
    return true;
  }

  /**
   * Hands on each message of the request, then `onEnd` once it is complete; a faulty request ends
   * the call.
   */
  receive(onMessage: (message: Uint8Array) => void, onEnd: () => void): void {
    this.#stream.on('data', (chunk: Buffer) => {
      this.attempt(() => {
        if (this.ended) return;
        for (const message of this.#messages(chunk)) {
          onMessage(message);
          if (this.ended) return;
        }
        this.#sound(() => this.#reserveHeld(this.#reader.heldBytes));
      });
    });
    this.#stream.on('end', () => {
      this.attempt(() => {
        if (this.ended) return;
        this.#sound(() => this.#reader.finish());
        onEnd();
      });
    });
  }

  *#messages(chunk: Buffer): Iterable<Uint8Array> {
    try {
      yield* this.#reader.read(chunk);
    } catch (error) {
      this.#tellFault(error);
      throw error;
    }
  }

  #sound(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#tellFault(error);
      throw error;
    }
  }

  #tellFault(error: unknown): void {
    const { path, peer } = this;
    if (error instanceof GrpcStatusError) this.#deps.onFault?.({ path, peer: peer.address, error });
  }

  /** Sends one message as a whole gRPC frame; false when the peer does not keep up. */
  writeFrame(frame: Uint8Array): boolean {
    if (this.#ending) return true;
    if (!this.#headSent) {
      if (this.#stream.destroyed) return true;
      this.#headSent = true;
      this.#stream.respond({ ...RESPONSE_HEAD }, { waitForTrailers: true });
    }
    return this.#stream.write(frame);
  }

  drained(): Promise<void> {
    const stream = this.#stream;
    if (this.ended || !stream.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        stream.off('drain', done);
        stream.off('close', done);
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
  }

  get unsentBytes(): number {
    return this.#stream.writableLength;
  }

  reset(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** Runs a step of the handler; what it throws ends this call and no other. */
  attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Ends the call for an error: the status of a GrpcStatusError, an opaque INTERNAL for anything
   * else. A programmer's mistake goes on to end the process.
   */
  fail(error: unknown): void {
    if (error instanceof GrpcStatusError) {
      const fields = { path: this.path, peer: this.peer.address, status: error.status, error };
      this.#deps.log.debug('gRPC call refused', fields);
      this.end(error.status, error.message, error.retryMs);
      return;
    }
    const fields = { path: this.path, peer: this.peer.address, error };
    this.#deps.log.error('gRPC handler failed', fields);
    this.end(GRPC_STATUS.internal, 'internal error');
    if (error instanceof AssertionFailure) queueMicrotask(() => rethrow(error));
  }

  /** Ends the call with a status. Ending it again does nothing. */
  end(status: GrpcStatusCode, message = '', retryMs?: number): void {
    if (this.ended) return;
    this.#ending = true;
    this.#status = status;
    this.#stop();
    const stream = this.#stream;
    if (stream.destroyed) return;
    this.#setTimer(READ_REST_MS, () => this.#stream.close(constants.NGHTTP2_CANCEL));
    const trailers = {
      'grpc-status': String(status),
      ...(message === '' ? {} : { 'grpc-message': encodeGrpcMessage(message) }),
      ...(retryMs === undefined ? {} : { 'grpc-retry-pushback-ms': String(retryMs) }),
    };
    if (!this.#headSent) {
      stream.respond({ ...RESPONSE_HEAD, ...trailers }, { endStream: true });
      this.#letGo();
    } else {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(trailers);
        this.#letGo();
      });
      stream.end();
    }
  }

  /**
   * After the response: a peer that still sends is to stop by itself and is made to after a while.
   * Resetting at once could overtake the status, which waits in the same queue.
   */
  #letGo(): void {
    this.#stream.resume();
    if (this.#stream.readableEnded) return;
    this.#setTimer(LET_GO_MS, () => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  #setTimer(delayMs: number, callback: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(delayMs, callback);
  }

  #reserveHeld(heldBytes: number): void {
    const more = heldBytes - this.#heldBytes;
    this.#heldBytes = heldBytes;
    if (more !== 0 && !this.#deps.reserve(more)) {
      const text = 'too many incomplete requests on this connection';
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, text);
    }
  }

  #closed(): void {
    this.#ending = true;
    this.#stop();
    this.#deps.reserve(-this.#heldBytes);
    this.#heldBytes = 0;
  }

  #stop(): void {
    this.#timer?.cancel();
    if (this.#abort?.signal.aborted === false) this.#abort.abort();
  }
}

const RESPONSE_HEAD = {
  [constants.HTTP2_HEADER_STATUS]: 200,
  [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
  'grpc-accept-encoding': 'identity',
};

function rethrow(error: unknown): never {
  throw error;
}
