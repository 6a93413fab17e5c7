import { type ClientHttp2Session, connect } from 'node:http2';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock, Timer } from '#base/clock.ts';
import { channelBinding } from '#base/grpc/channel-binding.ts';
import { type ClientEvents, GrpcCallError, openCall } from '#base/grpc/client-call.ts';
import { frameMessage, GRPC_STATUS } from '#base/grpc/grpc.ts';
import type { Secret } from '#base/secret.ts';

/** Whom a client talks to, and how it proves itself. */
export interface GrpcClientOptions {
  /** HOST:PORT. */
  readonly address: string;
  /** The DNS name that the server's certificate must carry, and the authority of the calls. */
  readonly serverName: string;
  /** The roots that the server is verified against, PEM. */
  readonly rootPem: string;
  /** The client's certificate, leaf first, and its key, both PEM; it shows none when left out. */
  readonly own?: { readonly chainPem: string; readonly privateKeyPem: Secret<string> } | undefined;
  /** Milliseconds without a call after which the connection is closed; never when left out. */
  readonly idleMs?: number;
  /** How a dead connection is found, in milliseconds; by calls alone when left out. */
  readonly keepAlive?: { readonly everyMs: number; readonly answerMs: number };
}

/** The client's end of a bidirectional stream. */
export interface GrpcClientStream {
  /** Sends one message. */
  send(message: Uint8Array): void;
  /** No more is sent; the server is to end the call. */
  finish(): void;
  /** Ends the call at once. */
  cancel(): void;
}

/** A connection, and how many calls are on it. */
interface Connection {
  readonly session: ClientHttp2Session;
  /** Resolves once the server has proved itself; rejects with GrpcCallError when it does not. */
  readonly up: Promise<void>;
  calls: number;
  /** While there are none. */
  idle: Timer | undefined;
}

/**
 * A gRPC client on HTTP/2 over TLS 1.2 or newer (grpc PROTOCOL-HTTP2): unary calls and
 * bidirectional streams on one connection, which is made when a call needs one. Tries nothing
 * again, and goes through no HTTP proxy: a token goes to this address and nowhere else.
 */
export class GrpcClient {
  readonly #options: GrpcClientOptions;
  readonly #clock: Clock;
  readonly #context: SecureContext;
  #connection: Connection | undefined;

  /** @throws Error of OpenSSL when roots, certificate or key cannot be used */
  constructor(options: GrpcClientOptions, { clock }: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = clock;
    const { rootPem, own } = options;
    this.#context = createSecureContext({
      ca: rootPem,
      ...(own && { cert: own.chainPem, key: own.privateKeyPem.reveal() }),
      minVersion: 'TLSv1.2',
    });
  }

  /**
   * One request, one response.
   * @param options.metadata names in lower case
   * @throws GrpcCallError with the status; UNAVAILABLE when there is no connection
   */
  unary(
    path: string,
    message: Uint8Array,
    options: {
      readonly timeoutMs: number;
      readonly metadata?: Readonly<Record<string, string>>;
    },
  ): Promise<Uint8Array> {
    const { timeoutMs, metadata = {} } = options;
    return new Promise((resolve, reject) => {
      let answer: Uint8Array | undefined;
      const timeout = { 'grpc-timeout': `${Math.ceil(timeoutMs)}m` };
      const call = this.#open(
        path,
        { ...metadata, ...timeout },
        {
          onMessage: (bytes) => {
            answer ??= bytes;
          },
          onEnd: (error) => {
            deadline.cancel();
            if (error) reject(error);
            else if (answer) resolve(answer);
            else reject(new GrpcCallError(GRPC_STATUS.internal, 'the response has no message'));
          },
        },
      );
      const deadline = this.#clock.after(timeoutMs, () => {
        reject(new GrpcCallError(GRPC_STATUS.deadlineExceeded, `no answer in ${timeoutMs} ms`));
        call.cancel();
      });
      call.send(message);
      call.finish();
    });
  }

  /** Opens a stream; `onEnd` is called once, with an error unless the server ended it well. */
  stream(path: string, events: ClientEvents): GrpcClientStream {
    return this.#open(path, {}, events);
  }

  /**
   * The same, once the connection is there, with metadata that may depend on which one it is.
   * @param metadata is given what tells the connection from all others (`GrpcPeer.channelBinding`)
   * @throws GrpcCallError UNAVAILABLE when there is no connection, or none of TLS 1.3; `onEnd` is
   *   not called then
   */
  async boundStream(
    path: string,
    events: ClientEvents,
    metadata: (binding: Uint8Array) => Readonly<Record<string, string>>,
  ): Promise<GrpcClientStream> {
    const connection = this.#connected();
    await connection.up;
    const { session } = connection;
    const binding = session.destroyed || session.closed ? undefined : channelBinding(session);
    if (!binding)
      throw new GrpcCallError(GRPC_STATUS.unavailable, 'there is no connection of TLS 1.3');
    return this.#open(path, metadata(binding), events, connection);
  }

  /** Makes the connection, if there is none, for a call that is about to come. */
  prepare(): void {
    const connection = this.#connected();
    if (connection.calls === 0) this.#rest(connection);
  }

  /** Closes the connection when its calls are over, at once when there are none. */
  close(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.idle?.cancel();
    connection?.session.close();
  }

  #open(
    path: string,
    metadata: Readonly<Record<string, string>>,
    events: ClientEvents,
    connection = this.#connected(),
  ): GrpcClientStream {
    const head = {
      ':method': 'POST',
      ':path': path,
      ':authority': this.#options.serverName,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...metadata,
    };
    const stream = openCall(connection.session, head, events);
    connection.idle?.cancel();
    connection.calls += 1;
    stream.on('close', () => {
      connection.calls -= 1;
      if (connection.calls === 0) this.#rest(connection);
    });
    return {
      send: (message: Uint8Array) => {
        if (!stream.destroyed && stream.writable) stream.write(frameMessage(message));
      },
      finish: () => void stream.end(),
      cancel: () => void stream.destroy(),
    };
  }

  #connected(): Connection {
    const known = this.#connection;
    if (known && !known.session.closed && !known.session.destroyed) return known;
    const { address, serverName } = this.#options;
    const session = connect(`https://${address}`, {
      secureContext: this.#context,
      servername: serverName,
      settings: { enablePush: false },
    });
    const connection: Connection = { session, up: upOf(session), calls: 0, idle: undefined };
    this.#connection = connection;
    // Its calls end with it, and tell why.
    session.on('error', () => {});
    session.on('close', () => connection.idle?.cancel());
    session.on('connect', () => this.#keepAlive(session));
    return connection;
  }

  /** Closes a connection without calls, unless another call comes soon. */
  #rest(connection: Connection): void {
    const { idleMs } = this.#options;
    if (idleMs === undefined || connection !== this.#connection) return;
    connection.idle?.cancel();
    connection.idle = this.#clock.after(idleMs, () => {
      if (connection === this.#connection) this.close();
    });
  }

  /** Asks now and then whether the server is there, for as long as it is. */
  #keepAlive(session: ClientHttp2Session): void {
    const { keepAlive } = this.#options;
    if (!keepAlive) return;
    let timer: Timer | undefined;
    const ask = (): void => {
      timer = this.#clock.after(keepAlive.answerMs, () => {
        session.destroy(new Error('the server does not answer any more'));
      });
      const isSent = session.ping((error) => {
        timer?.cancel();
        if (!error && !session.destroyed) timer = this.#clock.after(keepAlive.everyMs, ask);
      });
      if (!isSent) session.destroy();
    };
    timer = this.#clock.after(keepAlive.everyMs, ask);
    session.on('close', () => timer?.cancel());
  }
}

function upOf(session: ClientHttp2Session): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  session.once('connect', () => resolve());
  session.once('error', (cause) => {
    reject(new GrpcCallError(GRPC_STATUS.unavailable, cause.message, cause));
  });
  session.once('close', () => {
    reject(new GrpcCallError(GRPC_STATUS.unavailable, 'there is no connection'));
  });
  // Most calls do not wait for it.
  promise.catch(() => {});
  return promise;
}
