import type { Clock } from '#base/clock.ts';
import { GrpcClient, type GrpcClientStream } from '#base/grpc/client.ts';
import type { ClientEvents } from '#base/grpc/client-call.ts';
import type { OwnCertificate } from '#caclient/ca-client.ts';
import type { ServerRoots } from '#caclient/server-roots.ts';
import { proveOnChannel } from '#pki/channel-proof.ts';

export interface TrustConnectionsOptions {
  /** HOST:PORT of xDS. */
  readonly address: string;
  /** The DNS name in the server's certificate. */
  readonly serverName: string;
}

export interface TrustConnectionsDeps {
  readonly roots: ServerRoots;
  readonly clock: Clock;
  /** A client of somebody else that verifies the server against these roots, to be shared. */
  readonly sharedClient?: (rootsPem: string) => GrpcClient | undefined;
}

interface SharedConnection {
  readonly client: GrpcClient;
  /** Whether nobody else closes the client. */
  readonly isOurs: boolean;
  readonly rootsPem: string;
  streams: number;
}

const METHOD = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';
/** controlplane/channel-authenticator.ts reads it. */
const PROOF_FIELD = 'bulwark-workload-proof';
/** Half of what the server allows (LIMITS.grpcStreamsPerConnectionMax). */
const STREAMS_PER_CONNECTION = 128;
const KEEP_ALIVE = { everyMs: 20_000, answerMs: 10_000 };

/**
 * The streams of many workloads on few connections, the first of which may be that on which their
 * certificates are asked for: TLS and HTTP/2 take 0.2 MB for each. What a workload says is taken
 * for its word because its stream begins with a proof that its agent has the key of its
 * certificate, which is good on this connection only.
 */
export class TrustConnections {
  readonly #options: TrustConnectionsOptions;
  readonly #deps: TrustConnectionsDeps;
  readonly #connections = new Set<SharedConnection>();

  constructor(options: TrustConnectionsOptions, deps: TrustConnectionsDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * Opens a stream as the workload that has this certificate.
   * @throws BulwarkError FILES_UNREADABLE (the roots of the server), GrpcCallError; `onEnd` is not
   *   called then
   */
  async open(own: OwnCertificate, events: ClientEvents): Promise<GrpcClientStream> {
    const connection = this.#connectionTo(await this.#deps.roots.current());
    const { client } = connection;
    connection.streams += 1;
    const prove = (binding: Uint8Array) => ({ [PROOF_FIELD]: proveOnChannel(binding, own) });
    const onEnd = (...[error]: Parameters<ClientEvents['onEnd']>): void => {
      this.#released(connection);
      events.onEnd(error);
    };
    try {
      return await client.boundStream(METHOD, { ...events, onEnd }, prove);
    } catch (error) {
      this.#released(connection);
      throw error;
    }
  }

  /** One whose server was verified against these roots, with room for one more. */
  #connectionTo(rootsPem: string): SharedConnection {
    for (const known of this.#connections)
      if (known.rootsPem === rootsPem && known.streams < STREAMS_PER_CONNECTION) return known;
    const shared = this.#deps.sharedClient?.(rootsPem);
    const isFree = [...this.#connections].every(({ client }) => client !== shared);
    const client = shared && isFree ? shared : this.#clientOf(rootsPem);
    const connection = { client, isOurs: client !== shared, rootsPem, streams: 0 };
    this.#connections.add(connection);
    return connection;
  }

  #clientOf(rootPem: string): GrpcClient {
    return new GrpcClient({ ...this.#options, rootPem, keepAlive: KEEP_ALIVE }, this.#deps);
  }

  #released(connection: SharedConnection): void {
    connection.streams -= 1;
    if (connection.streams > 0) return;
    this.#connections.delete(connection);
    // Another one closes by itself when nobody uses it.
    if (connection.isOurs) connection.client.close();
  }
}
