import type { IncomingHttpHeaders } from 'node:http2';

/** gRPC status codes that we use (grpc/statuscodes). */
export const GRPC_STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** One of the codes above. */
export type GrpcStatusCode = (typeof GRPC_STATUS)[keyof typeof GRPC_STATUS];

/**
 * Thrown by a handler to end its call with a status; the message goes to the caller, the cause only
 * to the log.
 */
export class GrpcStatusError extends Error {
  readonly status: GrpcStatusCode;
  /**
   * After how many milliseconds the caller may try again; sent as `grpc-retry-pushback-ms` (gRFC
   * A6).
   */
  readonly retryMs: number | undefined;

  constructor(status: GrpcStatusCode, message: string, cause?: unknown, retryMs?: number) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'GrpcStatusError';
    this.status = status;
    this.retryMs = retryMs;
  }
}

/** A request that broke the protocol or a limit, and was ended before any handler saw it. */
export interface RequestFault {
  /** As the caller wrote it. */
  readonly path: string;
  /** The address of the caller. */
  readonly peer: string;
  readonly error: GrpcStatusError;
}

/** Who is at the other end. */
export interface GrpcPeer {
  /** `127.0.0.1:40312`, or `unix` for a unix socket. */
  readonly address: string;
  /**
   * The leaf certificate, DER, when the peer sent one that verified against the server's roots;
   * else undefined.
   */
  readonly verifiedCertificate: Uint8Array | undefined;
  /**
   * What tells this connection from all others, the same at both ends (`tls-exporter` of RFC 9266);
   * undefined where there is no TLS 1.3.
   */
  readonly channelBinding?: Uint8Array | undefined;
}

/** A call as a handler sees it. */
export interface GrpcCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Request metadata, names in lower case. */
  readonly metadata: IncomingHttpHeaders;
  readonly peer: GrpcPeer;
  /** Aborts when the call ends for any reason: peer gone, deadline, server closing. */
  readonly signal: AbortSignal;
}

/** Takes one encoded request and returns the encoded response. */
export type GrpcUnaryHandler = (request: Uint8Array, call: GrpcCall) => Promise<Uint8Array>;

/** The server's end of a bidirectional stream. */
export interface GrpcServerStream {
  readonly call: GrpcCall;
  /** Messages in order; set before the first `await`. */
  onMessage: (message: Uint8Array) => void;
  /** The peer will send no more, or the stream is gone; called once. */
  onEnd: () => void;
  /**
   * Sends one message given as a whole gRPC frame (`frameMessage`), so that one buffer can go to
   * many streams. Returns false when the peer reads more slowly than we write: wait for
   * `drained()`.
   */
  writeFrame(frame: Uint8Array): boolean;
  /** Resolves when the peer caught up, or the stream ended. */
  drained(): Promise<void>;
  /** Bytes that were written and not yet taken by the peer's flow control window or socket. */
  readonly unsentBytes: number;
  /** Ends the stream with a status, after what was written. Ending it again does nothing. */
  end(status: GrpcStatusCode, message?: string): void;
  /**
   * Drops what is unsent and resets the stream: for a peer that does not read, whom no status would
   * reach.
   */
  reset(): void;
}

/** Called once for each stream. */
export type GrpcStreamHandler = (stream: GrpcServerStream) => void;

/** Handlers by path `/package.Service/Method`. */
export interface GrpcService {
  readonly unary?: Readonly<Record<string, GrpcUnaryHandler>>;
  readonly streams?: Readonly<Record<string, GrpcStreamHandler>>;
}

/**
 * The bytes of one gRPC message on the wire: flag 0, length in 4 bytes, message (grpc
 * PROTOCOL-HTTP2).
 */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}
