import type { JwtSvidCache } from '#agent/jwt/jwt-svid-cache.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { JwtMethods } from '#agent/workload-api/jwt-methods.ts';
import {
  encodeJwtBundles,
  encodeX509Bundles,
  encodeX509Svids,
} from '#agent/workload-api/messages.ts';
import type { Clock } from '#base/clock.ts';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
  type GrpcUnaryHandler,
} from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';

export interface WorkloadApiOptions {
  /** The unix socket; only its owner may connect. */
  readonly socketPath: string;
}

export interface WorkloadApiDeps {
  readonly log: Logger;
  readonly clock: Clock;
  /** Where tokens come from. */
  readonly tokens: Pick<JwtSvidCache, 'token'>;
}

const SERVICE = '/SpiffeWorkloadAPI';
/** Metadata that a browser or a proxy led astray does not send (SPIFFE Workload API, section 4). */
const GUARD = 'workload.spiffe.io';
/** Nothing can be lost between two ends of a unix socket. */
const KEEP_ALIVE_MS = 3_600_000;
/** Requests hold an audience and an identity at most. */
const REQUEST_BYTES_MAX = 16 * 1024;

/** What is answered, encoded when somebody asks; the keys of JWTs once these are known. */
const ENCODERS = {
  svids: encodeX509Svids,
  bundles: encodeX509Bundles,
  jwtBundles: ({ bundles }: WorkloadSecret) => bundles && encodeJwtBundles(bundles),
} satisfies Record<string, (secret: WorkloadSecret) => Uint8Array | undefined>;

type Kind = keyof typeof ENCODERS;

/**
 * The SPIFFE Workload API for one workload: its certificate and key, tokens, and what vouches for
 * the trust domains that it knows, to programs that speak TLS themselves. Each stream gets what
 * there is, and what replaces it, at once. Who may connect to the socket is the workload: it is for
 * its owner only, in a folder that nobody else may enter.
 */
export class WorkloadApi implements Component {
  readonly name = 'workload api';
  readonly #clock: Clock;
  readonly #server: GrpcServer;
  readonly #jwt: JwtMethods;
  readonly #clients = new Map<GrpcServerStream, ApiClient>();
  #secret: WorkloadSecret | undefined;

  constructor({ socketPath }: WorkloadApiOptions, deps: WorkloadApiDeps) {
    this.#clock = deps.clock;
    this.#jwt = new JwtMethods(deps);
    const options = {
      name: 'workload api',
      listen: { path: socketPath },
      services: [this.#service()],
      messageBytesMax: REQUEST_BYTES_MAX,
      keepAliveMs: KEEP_ALIVE_MS,
      closeTimeoutMs: 1000,
    };
    this.#server = new GrpcServer(options, deps);
  }

  /** @throws BulwarkError as GrpcServer.start does */
  start(): Promise<void> {
    return this.#server.start();
  }

  /** Streams end with UNAVAILABLE: clients of the standard then come back by themselves. */
  async close(): Promise<void> {
    for (const { stream } of this.#clients.values())
      stream.end(GRPC_STATUS.unavailable, 'the agent is ending');
    await this.#server.close();
    this.#secret = undefined;
  }

  /** Serves this from now on. The secret must have passed its checks. */
  publish(secret: WorkloadSecret): void {
    this.#jwt.publish(secret);
    this.#secret = secret;
    for (const client of this.#clients.values()) client.offer(answer(client.kind, secret));
  }

  #service(): GrpcService {
    const guarded =
      (answer: (request: Uint8Array) => Promise<Uint8Array>): GrpcUnaryHandler =>
      async (request, call) => {
        checkGuard(call);
        return answer(request);
      };
    return {
      unary: {
        [`${SERVICE}/FetchJWTSVID`]: guarded((request) => this.#jwt.fetch(request)),
        [`${SERVICE}/ValidateJWTSVID`]: guarded((request) => this.#jwt.validate(request)),
      },
      streams: {
        [`${SERVICE}/FetchX509SVID`]: (stream) => this.#serve(stream, 'svids'),
        [`${SERVICE}/FetchX509Bundles`]: (stream) => this.#serve(stream, 'bundles'),
        [`${SERVICE}/FetchJWTBundles`]: (stream) => this.#serve(stream, 'jwtBundles'),
      },
    };
  }

  #serve(stream: GrpcServerStream, kind: Kind): void {
    checkGuard(stream.call);
    const secret = this.#secret;
    // A certificate that is over names nobody.
    if (!secret || secret.notAfterAt <= this.#clock.now())
      throw new GrpcStatusError(GRPC_STATUS.permissionDenied, 'no identity issued');
    const client = new ApiClient(stream, kind);
    this.#clients.set(stream, client);
    stream.call.signal.addEventListener('abort', () => this.#clients.delete(stream));
    stream.onMessage = () => client.offer(answer(kind, this.#secret ?? secret));
  }
}

function answer(kind: Kind, secret: WorkloadSecret): Buffer | undefined {
  const message = ENCODERS[kind](secret);
  return message && frameMessage(message);
}

function checkGuard({ metadata }: GrpcCall): void {
  if (metadata[GUARD] === 'true') return;
  const message = `the metadata "${GUARD}: true" is missing`;
  throw new GrpcStatusError(GRPC_STATUS.invalidArgument, message);
}

/** One stream. A client that reads slowly gets the latest answer only, once it caught up. */
class ApiClient {
  readonly stream: GrpcServerStream;
  readonly kind: Kind;
  #waiting: Buffer | undefined;
  #last: Buffer | undefined;
  #isDraining = false;

  constructor(stream: GrpcServerStream, kind: Kind) {
    this.stream = stream;
    this.kind = kind;
  }

  /** Sends an answer, if there is one, unless the client has the same. */
  offer(frame: Buffer | undefined): void {
    if (!frame || this.#last?.equals(frame)) return;
    this.#waiting = frame;
    if (!this.#isDraining) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#isDraining = true;
    while (this.#waiting && !this.stream.call.signal.aborted) {
      const frame = this.#waiting;
      this.#waiting = undefined;
      this.#last = frame;
      if (!this.stream.writeFrame(frame)) await this.stream.drained();
    }
    this.#isDraining = false;
  }
}
