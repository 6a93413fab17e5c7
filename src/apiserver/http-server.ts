import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Server as SecureServer } from 'node:tls';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Outcome } from '#apiserver/dispatch.ts';
import { type Answer, jsonAnswer } from '#apiserver/present.ts';
import type { Admission, ApiRequest } from '#apiserver/resource-context.ts';
import { ApiError, badRequest, internalError, tooLarge } from '#apiserver/status.ts';
import { present } from '#base/assert.ts';
import { BulwarkError, systemCode } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';

/**
 * PEM texts of the serving certificate, and of the authority that client certificates are verified
 * against.
 */
export interface ServingTls {
  readonly key: string;
  /** The leaf first, then the certificates up to the root. */
  readonly cert: string;
  readonly clientCa: string;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly tls: ServingTls;
}

/** What is known of a request before its body is read. */
export type RequestHead = Pick<ApiRequest, 'method' | 'path' | 'query' | 'headers'>;

export interface HttpServerDeps {
  readonly log: Logger;
  /** Who asks for what, if they may. @throws ApiError 401 or 403 */
  readonly admit: (head: RequestHead, raw: IncomingMessage) => Promise<Admission>;
  /** @throws ApiError */
  readonly dispatch: (request: ApiRequest) => Promise<Outcome>;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];
/**
 * How long a client has for the TLS handshake, its headers, and the whole of its request, in
 * milliseconds.
 */
const HANDSHAKE_MS_MAX = 10_000;
const HEADERS_MS_MAX = 15_000;
const REQUEST_MS_MAX = 60_000;
const TLS_VERSION_MIN = 'TLSv1.2';
const NO_BODY = Buffer.alloc(0);

/** HTTPS around the API: limits, bodies, and answers. Knows nothing of what is asked. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #deps: HttpServerDeps;
  readonly #closing = new AbortController();
  readonly #admitted = new WeakMap<IncomingMessage, RequestHead & Admission>();
  #fastify: FastifyInstance | undefined;

  constructor(options: HttpServerOptions, deps: HttpServerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** @throws BulwarkError NET_PORT_TAKEN or NET_LISTEN_FAILED */
  async start(): Promise<AddressInfo> {
    const { host, port } = this.#options;
    const fastify = this.#build();
    this.#fastify = fastify;
    try {
      await fastify.listen({ host, port, backlog: LIMITS.listenBacklog });
    } catch (cause) {
      throw listenError(host, port, cause);
    }
    return fastify.server.address() as AddressInfo;
  }

  /** A new certificate for connections from now on. */
  updateTls({ key, cert, clientCa }: ServingTls): void {
    const server = this.#fastify?.server as unknown as SecureServer | undefined;
    server?.setSecureContext({ key, cert, ca: clientCa, minVersion: TLS_VERSION_MIN });
  }

  /** Ends all watches, answers what is under way, and closes. */
  async close(): Promise<void> {
    this.#closing.abort();
    const fastify = this.#fastify;
    this.#fastify = undefined;
    await fastify?.close();
  }

  #build(): FastifyInstance {
    const { key, cert, clientCa } = this.#options.tls;
    const fastify = Fastify({
      https: {
        key,
        cert,
        ca: clientCa,
        requestCert: true,
        // Who sends no certificate may still have a token; what a certificate is worth is decided
        // per request.
        rejectUnauthorized: false,
        minVersion: TLS_VERSION_MIN,
        handshakeTimeout: HANDSHAKE_MS_MAX,
        maxHeaderSize: LIMITS.apiHeaderBytesMax,
        headersTimeout: HEADERS_MS_MAX,
      },
      requestTimeout: REQUEST_MS_MAX,
      bodyLimit: LIMITS.apiBodyBytesMax,
      forceCloseConnections: true,
      exposeHeadRoutes: false,
      logger: false,
      routerOptions: { maxParamLength: LIMITS.apiHeaderBytesMax },
    }) as unknown as FastifyInstance;
    fastify.server.maxConnections = LIMITS.apiConnectionsMax;
    fastify.removeAllContentTypeParsers();
    fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    // Before the body: who may not do it need not send it, and costs no memory.
    fastify.addHook('onRequest', ({ raw }) => this.#admit(raw));
    fastify.setErrorHandler((error, _request, reply) => this.#send(reply, this.#failure(error)));
    fastify.route({
      method: METHODS,
      url: '*',
      handler: (request, reply) => this.#handle(request, reply),
    });
    return fastify;
  }

  async #admit(raw: IncomingMessage): Promise<void> {
    const { method = 'GET', url = '/', headers } = raw;
    const [path = '/', ...query] = url.split('?');
    if (!path.startsWith('/')) throw badRequest('the path must begin with /');
    const head = { method, path, query: new URLSearchParams(query.join('?')), headers };
    this.#admitted.set(raw, { ...head, ...(await this.#deps.admit(head, raw)) });
  }

  async #handle({ raw, body }: FastifyRequest, reply: FastifyReply): Promise<void> {
    const head = present(this.#admitted.get(raw), 'the admission of a request');
    const request = { ...head, body: Buffer.isBuffer(body) ? body : NO_BODY };
    const outcome = await this.#deps.dispatch(request);
    if (typeof outcome !== 'function') return this.#send(reply, outcome);
    reply.hijack();
    const response = reply.raw as unknown as ServerResponse;
    try {
      await outcome(response, this.#closing.signal);
    } catch (error) {
      this.#deps.log.error('a watch failed', { error });
      response.destroy();
    }
  }

  #send(reply: FastifyReply, { code, contentType, body, headers = {} }: Answer): void {
    // As bytes: to text the framework would add a charset, which is not part of these media types.
    void reply
      .code(code)
      .headers({ 'cache-control': 'no-cache, private', ...headers })
      .header('content-type', contentType)
      .send(Buffer.from(body));
  }

  /**
   * Refusals as they are; anything else is our fault: the log gets all of it, the client hears only
   * that.
   */
  #failure(error: unknown): Answer {
    if (error instanceof ApiError) {
      const code = error.body.code ?? 500;
      return jsonAnswer(error.body, { code, headers: error.headers });
    }
    const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
    if (status === 413) return this.#failure(tooLarge(LIMITS.apiBodyBytesMax));
    if (typeof status === 'number' && status < 500) {
      return this.#failure(badRequest('the request is malformed'));
    }
    this.#deps.log.error('a request failed', { error });
    return this.#failure(internalError('the server could not answer; its log says why'));
  }
}

function listenError(host: string, port: number, cause: unknown): BulwarkError {
  const data = { host, port };
  if (systemCode(cause) === 'EADDRINUSE') {
    return new BulwarkError('NET_PORT_TAKEN', `port ${port} of ${host} is in use`, {
      remedy: 'stop what listens there, or choose another port with --api-port (0 = any free one)',
      data,
      cause,
    });
  }
  return new BulwarkError('NET_LISTEN_FAILED', `cannot listen on ${host}:${port}`, {
    remedy: 'check --bind-address',
    data,
    cause,
  });
}
