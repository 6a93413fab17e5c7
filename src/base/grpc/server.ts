import { constants as cryptoConstants } from 'node:crypto';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerOptions,
} from 'node:http2';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { assert } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { GrpcService, RequestFault } from '#base/grpc/grpc.ts';
import { type ListenAddress, listen } from '#base/grpc/listener.ts';
import { ServerConnection, type ServerConnectionOptions } from '#base/grpc/server-connection.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';

/** What the server proves itself with, and whom it believes. */
export interface GrpcTlsOptions {
  /** PKCS #8 or SEC 1 key, PEM. */
  readonly privateKeyPem: Secret<string>;
  /** The server's certificate, leaf first, PEM. */
  readonly certificateChainPem: string;
  /**
   * The roots that client certificates are verified against, PEM; no client is verified when it is
   * empty.
   */
  readonly clientCaPem: string;
}

/** How a GrpcServer runs. */
export interface GrpcServerOptions {
  /** For logs: `xds`, `sds`. */
  readonly name: string;
  readonly listen: ListenAddress;
  /** Without it the server speaks plaintext HTTP/2: for unix sockets and loopback only. */
  readonly tls?: GrpcTlsOptions | undefined;
  /** No method may be in two of them. */
  readonly services: readonly GrpcService[];
  /** Bytes of one request message; LIMITS.grpcMessageBytesMax when left out. */
  readonly messageBytesMax?: number;
  /** Milliseconds between keep-alive pings; 30,000 when left out. */
  readonly keepAliveMs?: number;
  /** Milliseconds until an unanswered ping ends the connection; 20,000 when left out. */
  readonly keepAliveTimeoutMs?: number;
  /** Milliseconds that calls get to end by themselves on `close`; 5,000 when left out. */
  readonly closeTimeoutMs?: number;
}

/** What a GrpcServer needs. */
export interface GrpcServerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  /** Called for each faulty request; what it does must be cheap, for callers may be many. */
  readonly onFault?: (fault: RequestFault) => void;
}

/** Milliseconds for a TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * A gRPC server on HTTP/2 (grpc PROTOCOL-HTTP2): unary calls and bidirectional streams, over TLS
 * 1.2 or newer, or plaintext on a unix socket. A client certificate is asked for and not required:
 * who must have one is for the services to say, by `GrpcPeer.verifiedCertificate`. Sessions are
 * never resumed, so each connection is verified anew.
 */
export class GrpcServer implements Component {
  readonly name: string;
  readonly #options: GrpcServerOptions;
  readonly #connectionOptions: ServerConnectionOptions;
  readonly #deps: GrpcServerDeps;
  readonly #connections = new Set<ServerConnection>();
  readonly #sockets = new Set<Socket>();
  #tls: GrpcTlsOptions | undefined;
  #server: Http2Server | Http2SecureServer | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: GrpcServerOptions, deps: GrpcServerDeps) {
    this.name = options.name;
    this.#options = options;
    this.#tls = options.tls;
    this.#deps = { ...deps, log: deps.log.child({ server: options.name }) };
    this.#connectionOptions = {
      messageBytesMax: options.messageBytesMax ?? LIMITS.grpcMessageBytesMax,
      keepAliveMs: options.keepAliveMs ?? 30_000,
      keepAliveTimeoutMs: options.keepAliveTimeoutMs ?? 20_000,
      closeTimeoutMs: options.closeTimeoutMs ?? 5000,
      unary: handlersByPath(options.services.map((service) => service.unary ?? {})),
      streams: handlersByPath(options.services.map((service) => service.streams ?? {})),
    };
  }

  /** The TCP port that it listens on, once started. */
  get port(): number {
    const address = this.#server?.address();
    assert(address && typeof address === 'object', `${this.name} does not listen on a TCP port`);
    return address.port;
  }

  /**
   * @throws BulwarkError NET_PORT_TAKEN, NET_LISTEN_FAILED, FILES_TOO_OPEN or FILES_UNWRITABLE
   * (unix sockets), and
   *   PKI_MALFORMED when key and certificate cannot be used
   */
  async start(): Promise<void> {
    assert(!this.#server, `${this.name} was started before`);
    const server = this.#tls
      ? createSecureServer({ ...HTTP2_OPTIONS, ...secureOptions(this.#tls) })
      : createServer(HTTP2_OPTIONS);
    this.#server = server;
    server.maxConnections = LIMITS.grpcConnectionsMax;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('session', (session: ServerHttp2Session) => this.#connected(session));
    // Faults of peers, told apart by nobody: at debug, so that nobody can fill the log.
    for (const event of ['sessionError', 'tlsClientError', 'clientError', 'drop'] as const) {
      server.on(event, (error: unknown) =>
        this.#deps.log.debug('connection failed', { event, error }),
      );
    }
    server.on('unknownProtocol', (socket) => socket.destroy());
    await listen(server, this.#options.listen);
    server.on('error', (error) => this.#deps.log.error('gRPC server failed', { error }));
    this.#deps.log.info('listening', { ...this.#options.listen, ...this.#shownPort() });
  }

  /**
   * New key, certificate or roots for connections from now on; open ones stay as they are.
   * @throws BulwarkError PKI_MALFORMED when they cannot be used; the old ones then stay
   */
  updateTls(tls: GrpcTlsOptions): void {
    assert(this.#tls, `${this.name} has no TLS to update`);
    const options = secureOptions(tls);
    this.#tls = tls;
    const server = this.#server;
    if (server && 'setSecureContext' in server) server.setSecureContext(options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    for (const connection of this.#connections) {
      connection.closeGracefully('the server is closing');
    }
    // Connections whose handshake is not done yet have no calls to wait for, but a bound all the
    // same.
    const { closeTimeoutMs } = this.#connectionOptions;
    const force = this.#deps.clock.after(closeTimeoutMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await new Promise((resolve) => server.close(resolve));
    force.cancel();
  }

  #connected(session: ServerHttp2Session): void {
    const connection = new ServerConnection(session, this.#connectionOptions, this.#deps);
    this.#connections.add(connection);
    session.on('close', () => this.#connections.delete(connection));
    if (this.#closing) connection.closeGracefully('the server is closing');
  }

  #shownPort(): { port?: number } {
    return 'path' in this.#options.listen ? {} : { port: this.port };
  }
}

function handlersByPath<H>(tables: readonly Readonly<Record<string, H>>[]): Map<string, H> {
  const handlers = new Map<string, H>();
  for (const [path, handler] of tables.flatMap((table) => Object.entries(table))) {
    assert(!handlers.has(path), `gRPC method ${path} has two handlers`);
    handlers.set(path, handler);
  }
  return handlers;
}

/**
 * Bounds on what a peer may make us hold or do (CVE-2023-44487 rapid reset, header and settings
 * floods).
 */
const HTTP2_OPTIONS: ServerOptions = {
  settings: {
    maxConcurrentStreams: LIMITS.grpcStreamsPerConnectionMax,
    maxHeaderListSize: LIMITS.grpcHeaderBytesMax,
    initialWindowSize: 1024 * 1024,
  },
  maxSessionMemory: 64,
  maxSettings: 16,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  streamResetBurst: 200,
  streamResetRate: 50,
};

/** @throws BulwarkError PKI_MALFORMED when OpenSSL does not take them */
function secureOptions(tls: GrpcTlsOptions): SecureServerOptions {
  const options = {
    key: tls.privateKeyPem.reveal(),
    cert: tls.certificateChainPem,
    // An empty list believes nobody; leaving it out would believe the public authorities.
    ca: tls.clientCaPem === '' ? [] : tls.clientCaPem,
    minVersion: 'TLSv1.2',
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false,
    allowHTTP1: false,
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  } as const satisfies SecureServerOptions;
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new BulwarkError('PKI_MALFORMED', 'the TLS key or certificate cannot be used', {
      remedy: 'check that both are PEM and belong together',
      cause,
    });
  }
  return options;
}
