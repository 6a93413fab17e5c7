import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { decodeGrpcMessage, isGrpcContentType } from '#base/grpc/call-metadata.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { MessageReader } from '#base/grpc/message-reader.ts';
import { LIMITS } from '#base/limits.ts';

/** How a call of ours ended that did not end well. */
export class GrpcCallError extends Error {
  /** A code of gRPC; those that we do not know are possible (grpc/statuscodes). */
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'GrpcCallError';
    this.status = status;
  }
}

/** What a call tells its caller. */
export interface ClientEvents {
  /** Each message, in order. */
  readonly onMessage: (message: Uint8Array) => void;
  /** Called once; without an error when the status is OK. */
  readonly onEnd: (error: GrpcCallError | undefined) => void;
}

/** What is known of a call so far. */
interface Progress {
  status: string | undefined;
  message: string;
  /** What HTTP said instead of gRPC, or what broke. */
  failure: GrpcCallError | undefined;
}

/** Opens one HTTP/2 stream as a gRPC call. */
export function openCall(
  session: ClientHttp2Session,
  head: OutgoingHttpHeaders,
  { onMessage, onEnd }: ClientEvents,
): ClientHttp2Stream {
  const progress: Progress = { status: undefined, message: '', failure: undefined };
  const fail = (error: unknown): void => {
    progress.failure ??= failureOf(error);
  };
  const stream = session.request(head);
  const reader = new MessageReader({ messageBytesMax: LIMITS.grpcMessageBytesMax });
  stream.on('response', (headers) => readHead(headers, progress));
  stream.on('trailers', (trailers) => readStatus(trailers, progress));
  stream.on('data', (chunk: Buffer) => {
    if (progress.failure) return;
    try {
      for (const message of reader.read(chunk)) onMessage(message);
    } catch (error) {
      fail(error);
      stream.close(constants.NGHTTP2_CANCEL);
    }
  });
  // The server has said all: nothing that we could still send would be read.
  stream.on('end', () => stream.end());
  // What breaks after the status was told changes nothing any more.
  stream.on('error', (error) => progress.status === undefined && fail(error));
  stream.on('close', () => onEnd(outcomeOf(progress)));
  return stream;
}

/** HTTP statuses that are no gRPC, as gRPC statuses (grpc/http-grpc-status-mapping). */
const BY_HTTP_STATUS: Readonly<Record<number, number>> = {
  400: GRPC_STATUS.internal,
  401: GRPC_STATUS.unauthenticated,
  403: GRPC_STATUS.permissionDenied,
  404: GRPC_STATUS.unimplemented,
  429: GRPC_STATUS.unavailable,
  502: GRPC_STATUS.unavailable,
  503: GRPC_STATUS.unavailable,
  504: GRPC_STATUS.unavailable,
};

function readHead(
  headers: IncomingHttpHeaders & { ':status'?: number | undefined },
  to: Progress,
): void {
  readStatus(headers, to);
  if (to.status !== undefined) return;
  const status = headers[':status'] ?? 0;
  if (status === 200 && isGrpcContentType(headers['content-type'])) return;
  const code = BY_HTTP_STATUS[status] ?? GRPC_STATUS.unknown;
  to.failure ??= new GrpcCallError(code, `the server answered HTTP ${status} and no gRPC`);
}

function readStatus(headers: IncomingHttpHeaders, to: Progress): void {
  const status = headers['grpc-status'];
  if (status === undefined) return;
  to.status = String(status);
  to.message = decodeGrpcMessage(String(headers['grpc-message'] ?? ''));
}

function failureOf(error: unknown): GrpcCallError {
  if (error instanceof GrpcCallError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const status = error instanceof GrpcStatusError ? error.status : GRPC_STATUS.unavailable;
  return new GrpcCallError(status, text, error);
}

function outcomeOf({ status, message, failure }: Progress): GrpcCallError | undefined {
  if (failure) return failure;
  if (status === undefined)
    return new GrpcCallError(GRPC_STATUS.unavailable, 'the connection ended before the call did');
  const code = /^\d{1,2}$/.test(status) ? Number(status) : GRPC_STATUS.unknown;
  return code === GRPC_STATUS.ok ? undefined : new GrpcCallError(code, message);
}
