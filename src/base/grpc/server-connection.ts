import type { X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { TLSSocket } from 'node:tls';
import type { Timer } from '#base/clock.ts';
import { isGrpcContentType } from '#base/grpc/call-metadata.ts';
import { channelBinding } from '#base/grpc/channel-binding.ts';
import {
  GRPC_STATUS,
  type GrpcPeer,
  type GrpcStreamHandler,
  type GrpcUnaryHandler,
} from '#base/grpc/grpc.ts';
import { serveStream, serveUnary } from '#base/grpc/serve-call.ts';
import { ServerCall, type ServerCallDeps } from '#base/grpc/server-call.ts';
import { LIMITS } from '#base/limits.ts';

/** How a server treats each of its connections. */
export interface ServerConnectionOptions {
  /** Bytes of one request message. */
  readonly messageBytesMax: number;
  /** Milliseconds between keep-alive pings. */
  readonly keepAliveMs: number;
  /** Milliseconds that a ping may stay unanswered before the connection counts as dead. */
  readonly keepAliveTimeoutMs: number;
  /** Milliseconds that calls get to end by themselves when the connection is closed gracefully. */
  readonly closeTimeoutMs: number;
  readonly unary: ReadonlyMap<string, GrpcUnaryHandler>;
  readonly streams: ReadonlyMap<string, GrpcStreamHandler>;
}

type ServerConnectionDeps = Pick<ServerCallDeps, 'log' | 'clock' | 'onFault'>;

/**
 * One HTTP/2 connection: who the peer is, its calls, keep-alive, and the end of its life, which
 * comes at the latest when the certificate that it was authenticated by expires.
 */
export class ServerConnection {
  readonly #session: ServerHttp2Session;
  readonly #options: ServerConnectionOptions;
  readonly #deps: ServerConnectionDeps;
  readonly #peer: GrpcPeer;
  /**
   * Whether the peer showed a certificate that TLS did not verify: one that expired, or foreign.
   */
  readonly #isUnverified: boolean;
  readonly #streamCalls = new Set<ServerCall>();
  readonly #timers = new Map<'keepAlive' | 'expiry' | 'close', Timer>();
  #heldBytes = 0;

  constructor(
    session: ServerHttp2Session,
    options: ServerConnectionOptions,
    deps: ServerConnectionDeps,
  ) {
    this.#session = session;
    this.#options = options;
    this.#deps = deps;
    const certificate = verifiedCertificate(session);
    this.#peer = new SessionPeer(session, certificate?.raw);
    this.#isUnverified = !certificate && shownCertificate(session) !== undefined;
    session.on('error', (error) =>
      deps.log.debug('gRPC connection failed', { peer: this.#peer.address, error }),
    );
    session.on('stream', (stream, headers) => this.#accept(stream, headers));
    session.on('close', () => {
      for (const timer of this.#timers.values()) timer.cancel();
    });
    this.#scheduleKeepAlive();
    if (certificate) this.#scheduleExpiry(certificate);
  }

  /**
   * Tells the peer to go elsewhere (GOAWAY), ends its streams with UNAVAILABLE, lets unary calls
   * finish, and after `closeTimeoutMs` ends whatever is left.
   * @param reason the message of the streams' status
   */
  closeGracefully(reason: string): void {
    if (this.#session.closed) return;
    for (const call of this.#streamCalls) call.end(GRPC_STATUS.unavailable, reason);
    const force = (): void => this.#session.destroy();
    this.#timers.set('close', this.#deps.clock.after(this.#options.closeTimeoutMs, force));
    this.#session.close();
  }

  #accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    if (headers[':method'] !== 'POST' || !isGrpcContentType(headers['content-type'])) {
      stream.on('error', () => {});
      stream.respond({ ':status': headers[':method'] === 'POST' ? 415 : 405 }, { endStream: true });
      stream.close();
      return;
    }
    const call = new ServerCall(stream, headers, {
      ...this.#deps,
      peer: this.#peer,
      messageBytesMax: this.#options.messageBytesMax,
      reserve: (bytes) => this.#reserve(bytes),
    });
    const encoding = headers['grpc-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      call.end(GRPC_STATUS.unimplemented, 'compressed messages are not supported');
      return;
    }
    if (call.startDeadline()) this.#dispatch(call);
  }

  #dispatch(call: ServerCall): void {
    const unary = this.#options.unary.get(call.path);
    const streams = this.#options.streams.get(call.path);
    if (unary) {
      serveUnary(call, unary);
    } else if (streams) {
      this.#streamCalls.add(call);
      call.stream.on('close', () => this.#streamEnded(call));
      serveStream(call, streams);
    } else {
      call.end(GRPC_STATUS.unimplemented, 'there is no such method');
    }
  }

  /**
   * A proxy whose certificate was not verified, or not taken, would open its streams on this
   * connection for ever, and be refused, though it has a new certificate by now: only a new
   * handshake shows that one.
   */
  #streamEnded(call: ServerCall): void {
    this.#streamCalls.delete(call);
    const isRefused = call.status === GRPC_STATUS.unauthenticated;
    if (isRefused && this.#peer.verifiedCertificate)
      this.closeGracefully('the client certificate of this connection is not taken any more');
    else if (this.#isUnverified)
      this.closeGracefully('the client certificate of this connection was not verified');
  }

  #reserve(bytes: number): boolean {
    this.#heldBytes += bytes;
    return this.#heldBytes <= LIMITS.grpcHeldBytesPerConnectionMax;
  }

  #scheduleKeepAlive(): void {
    const { keepAliveMs, keepAliveTimeoutMs } = this.#options;
    const { clock } = this.#deps;
    const ping = (): void => {
      const dead = (): void => {
        this.#deps.log.debug('gRPC peer does not answer', { peer: this.#peer.address });
        this.#session.destroy();
      };
      this.#timers.set('keepAlive', clock.after(keepAliveTimeoutMs, dead));
      const sent = this.#session.ping((error) => {
        this.#timers.get('keepAlive')?.cancel();
        if (!error && !this.#session.destroyed) this.#scheduleKeepAlive();
      });
      if (!sent) this.#session.destroy();
    };
    this.#timers.set('keepAlive', clock.after(keepAliveMs, ping));
  }

  #scheduleExpiry(certificate: X509Certificate): void {
    const leftMs = certificate.validToDate.getTime() - this.#deps.clock.now();
    const expire = (): void => {
      this.closeGracefully('the client certificate of this connection expired; connect again');
    };
    this.#timers.set('expiry', this.#deps.clock.after(Math.max(0, leftMs), expire));
  }
}

/** The other end of a connection; few ask for its binding. */
class SessionPeer implements GrpcPeer {
  readonly address: string;
  readonly verifiedCertificate: Uint8Array | undefined;
  readonly #session: ServerHttp2Session;
  #binding: Uint8Array | undefined;

  constructor(session: ServerHttp2Session, verifiedCertificate: Uint8Array | undefined) {
    this.address = addressOf(session);
    this.verifiedCertificate = verifiedCertificate;
    this.#session = session;
  }

  get channelBinding(): Uint8Array | undefined {
    if (!this.#session.destroyed) this.#binding ??= channelBinding(this.#session);
    return this.#binding;
  }
}

function addressOf(session: ServerHttp2Session): string {
  const { remoteAddress, remotePort } = session.socket;
  if (remoteAddress === undefined) return 'unix';
  return remoteAddress.includes(':')
    ? `[${remoteAddress}]:${remotePort}`
    : `${remoteAddress}:${remotePort}`;
}

/**
 * The peer's leaf certificate when TLS verified it; a socket counts as verified only if both signs
 * agree.
 */
function verifiedCertificate(session: ServerHttp2Session): X509Certificate | undefined {
  const socket = session.socket;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  return shownCertificate(session);
}

/** The leaf certificate that the peer showed, verified or not. */
function shownCertificate(session: ServerHttp2Session): X509Certificate | undefined {
  const socket = session.socket;
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}
