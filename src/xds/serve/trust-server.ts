import {
  GRPC_STATUS,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import type { XdsResource } from '#xds/resource.ts';
import { ConnectionReports } from '#xds/serve/connection-reports.ts';
import { type TrustCertificate, TrustPeers } from '#xds/serve/trust-peers.ts';
import { TrustStream, type TrustStreamDeps } from '#xds/serve/trust-stream.ts';

/** What a TrustServer needs. */
export type TrustServerDeps = Pick<TrustStreamDeps, 'log' | 'clock' | 'authenticate'>;

/** Secret discovery, incremental, on a stream of its own. */
const DELTA_PATH = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';

/**
 * Sends what workloads are to trust (the Secret `ROOTCA`) to their agents, and learns who does. An
 * agent answers yes only after its Envoy did, and it opens its stream with the certificate that its
 * Envoy serves with, so `peers` is proof of both. Agents of other makes do not come here; they get
 * the roots with each certificate and prove nothing.
 */
export class TrustServer {
  /** To be given to a GrpcServer. */
  readonly service: GrpcService;
  /** Who was here, and what each of them trusts. */
  readonly peers: TrustPeers;
  /** Who connects to each of them, as their agents tell it. */
  readonly connections: ConnectionReports;
  readonly #deps: TrustServerDeps;
  readonly #streams = new Set<TrustStream>();
  #resource: XdsResource;
  #bundles: XdsResource | undefined;
  #nonces = 0;
  #closing = false;

  /** @param resource what is to be trusted now */
  constructor(resource: XdsResource, deps: TrustServerDeps) {
    this.#resource = resource;
    this.#deps = deps;
    this.peers = new TrustPeers(deps.clock);
    this.connections = new ConnectionReports(deps.clock);
    this.service = { streams: { [DELTA_PATH]: (stream) => this.#accept(stream) } };
  }

  /** The version that peers are to accept. */
  get version(): string {
    return this.#resource.version;
  }

  /** Sends this from now on: at once to those who are here. */
  publish(resource: XdsResource): void {
    if (resource.version === this.#resource.version) return;
    this.#resource = resource;
    for (const stream of this.#streams) stream.flush();
  }

  /** Sends this beside it to those who ask for it by its name; nobody has to prove that it came. */
  publishBundles(resource: XdsResource): void {
    if (resource.version === this.#bundles?.version) return;
    this.#bundles = resource;
    for (const stream of this.#streams) stream.flush();
  }

  /** Ends the streams of those that are not to have any more; they are asked anew who they are. */
  endStreams(isOver: (certificate: TrustCertificate, identity: SpiffeId) => boolean): void {
    for (const stream of this.#streams)
      stream.checks.ask(({ certificate, identity }) => isOver(certificate, identity));
  }

  /** Ends all streams and takes no more. */
  close(): void {
    this.#closing = true;
    for (const stream of this.#streams)
      stream.end(new GrpcStatusError(GRPC_STATUS.unavailable, 'the server is closing'));
  }

  #nextNonce(): string {
    this.#nonces += 1;
    return String(this.#nonces);
  }

  #accept(stream: GrpcServerStream): void {
    if (this.#closing) {
      stream.end(GRPC_STATUS.unavailable, 'the server is closing');
      return;
    }
    if (this.#streams.size >= LIMITS.xdsStreamsMax) {
      stream.end(GRPC_STATUS.resourceExhausted, 'too many streams');
      return;
    }
    const opened = new TrustStream(stream, {
      ...this.#deps,
      peers: this.peers,
      connections: this.connections,
      resource: () => this.#resource,
      bundles: () => this.#bundles,
      nextNonce: () => this.#nextNonce(),
    });
    this.#streams.add(opened);
    stream.call.signal.addEventListener('abort', () => this.#streams.delete(opened));
  }
}
