import { constants } from 'node:http2';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcStatusCode,
  GrpcStatusError,
  type GrpcStreamHandler,
  type GrpcUnaryHandler,
} from '#base/grpc/grpc.ts';
import type { ServerCall } from '#base/grpc/server-call.ts';

/** Serves a call with one request and one response. */
export function serveUnary(call: ServerCall, handler: GrpcUnaryHandler): void {
  let request: Uint8Array | undefined;
  call.receive(
    (message) => {
      if (request !== undefined)
        throw new GrpcStatusError(GRPC_STATUS.internal, 'the request has more than one message');
      request = message;
    },
    () => {
      if (request === undefined)
        throw new GrpcStatusError(GRPC_STATUS.internal, 'the request has no message');
      handler(request, call).then(
        (response) => {
          call.writeFrame(frameMessage(response));
          call.end(GRPC_STATUS.ok);
        },
        (error) => call.fail(error),
      );
    },
  );
}

/** Serves a bidirectional stream. */
export function serveStream(call: ServerCall, handler: GrpcStreamHandler): void {
  const stream = new CallStream(call);
  let ended = false;
  const endOnce = (): void => {
    if (ended) return;
    ended = true;
    call.attempt(() => stream.onEnd());
  };
  call.attempt(() => handler(stream));
  call.receive((message) => stream.onMessage(message), endOnce);
  call.stream.on('close', endOnce);
}

/** A call as its handler sees it. */
class CallStream implements GrpcServerStream {
  readonly #call: ServerCall;
  onMessage: (message: Uint8Array) => void = () => {};
  onEnd: () => void = () => {};

  constructor(call: ServerCall) {
    this.#call = call;
  }

  get call(): GrpcCall {
    return this.#call;
  }

  writeFrame(frame: Uint8Array): boolean {
    return this.#call.writeFrame(frame);
  }

  drained(): Promise<void> {
    const { stream, ended } = this.#call;
    if (ended || !stream.writableNeedDrain) return Promise.resolve();
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
    return this.#call.stream.writableLength;
  }

  end(status: GrpcStatusCode, message?: string): void {
    this.#call.end(status, message);
  }

  reset(): void {
    this.#call.stream.close(constants.NGHTTP2_CANCEL);
  }
}
