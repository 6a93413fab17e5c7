import {
  frameMessage,
  GRPC_STATUS,
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
  let ended = false;
  const endOnce = (): void => {
    if (ended) return;
    ended = true;
    call.attempt(() => call.onEnd());
  };
  call.attempt(() => handler(call));
  call.receive((message) => call.onMessage(message), endOnce);
  call.stream.on('close', endOnce);
}
