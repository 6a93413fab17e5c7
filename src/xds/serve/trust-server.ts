import { fromBinary } from '@bufbuild/protobuf';
import { AssertionFailure } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import {
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import type { ProxyCaller } from '#xds/node-metadata.ts';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { CONNECTIONS_FIELD, ConnectionReports } from '#xds/serve/connection-reports.ts';
import { encodeResponseFrame } from '#xds/serve/response-frame.ts';
import { endAtExpiry } from '#xds/serve/stream-expiry.ts';
import { nodeOfStream } from '#xds/serve/stream-node.ts';
import {
  type TrustCertificate,
  type TrustPeerIdentity,
  TrustPeers,
} from '#xds/serve/trust-peers.ts';
import { TRUST_BUNDLES_NAME } from '#xds/serve/trust-resource.ts';

/** Who opened a stream: a workload, by the certificate that it serves with. */
export interface TrustCaller extends ProxyCaller {
  /** Undefined when it came with a token. */
  readonly certificate: TrustCertificate | undefined;
}

export interface TrustServerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  /** @throws GrpcStatusError UNAUTHENTICATED */
  readonly authenticate: (call: GrpcCall) => Promise<TrustCaller>;
}

/** Secret discovery, incremental, on a stream of its own. */
const DELTA_PATH = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';
const FIRST_REQUEST_MS_MAX = 15_000;
const EARLY_REQUESTS_MAX = 16;
const REASON_LENGTH_MAX = 500;

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
    const error = new GrpcStatusError(GRPC_STATUS.unauthenticated, 'authentication failure');
    for (const stream of this.#streams) {
      const { peer } = stream;
      if (peer && isOver(peer.certificate, peer.identity)) stream.end(error);
    }
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

interface TrustStreamDeps extends TrustServerDeps {
  readonly peers: TrustPeers;
  readonly connections: ConnectionReports;
  readonly resource: () => XdsResource;
  readonly bundles: () => XdsResource | undefined;
  readonly nextNonce: () => string;
}

/** The stream of one agent for one workload; one response at a time is unanswered. */
class TrustStream {
  readonly #stream: GrpcServerStream;
  readonly #deps: TrustStreamDeps;
  readonly #first = Promise.withResolvers<DeltaDiscoveryRequest>();
  #early: DeltaDiscoveryRequest[] | undefined = [];
  readonly #wanted = new Set<string>();
  /** Whether the agent took leave: the keys of its workload are gone. */
  #isFarewell = false;
  #isOver = false;
  /** Versions by name. */
  readonly #sent = new Map<string, string>();
  #outstanding: { readonly nonce: string; readonly resource: XdsResource } | undefined;
  #key: string | undefined;
  #peer: TrustPeerIdentity | undefined;

  constructor(stream: GrpcServerStream, deps: TrustStreamDeps) {
    this.#stream = stream;
    this.#deps = deps;
    this.#first.promise.catch(() => {});
    const timer = deps.clock.after(FIRST_REQUEST_MS_MAX, () =>
      this.end(new GrpcStatusError(GRPC_STATUS.deadlineExceeded, 'no request came')),
    );
    this.#first.promise.finally(() => timer.cancel()).catch(() => {});
    stream.onMessage = (message) => this.#receive(message);
    stream.onEnd = () => {
      this.#ended();
      stream.end(GRPC_STATUS.ok);
    };
    this.#open().catch((error) => this.#fail(error));
  }

  /** Who opened it, once that is proven. */
  get peer(): TrustPeerIdentity | undefined {
    return this.#peer;
  }

  end({ status, message }: GrpcStatusError): void {
    this.#ended();
    this.#stream.end(status, message);
  }

  /** Sends the next resource, as it is now, that the agent wants and does not have yet. */
  flush(): void {
    // Bundles first: whether the roots are taken may depend on them.
    const resource = [this.#deps.bundles(), this.#deps.resource()].find(
      (one) => one && this.#wanted.has(one.name) && this.#sent.get(one.name) !== one.version,
    );
    if (!resource || this.#outstanding) return;
    const nonce = this.#deps.nextNonce();
    this.#outstanding = { nonce, resource };
    this.#sent.set(resource.name, resource.version);
    const change = { changed: [resource], removed: [] };
    this.#stream.writeFrame(encodeResponseFrame(TYPE_URL.secret, nonce, change));
  }

  async #open(): Promise<void> {
    const { authenticate, peers, log, clock } = this.#deps;
    const { call } = this.#stream;
    const { certificate, ...caller } = await authenticate(call);
    if (!certificate)
      throw new GrpcStatusError(GRPC_STATUS.permissionDenied, 'a client certificate is needed');
    const { node } = await this.#first.promise;
    const { nodeId, identity, namespace, workloadName } = nodeOfStream(node, caller);
    if (this.#isOver) return;
    this.#peer = { nodeId, identity, namespace, workloadName, certificate };
    this.#key = peers.opened(this.#peer, this);
    endAtExpiry(call, { certificate, clock, end: (error) => this.end(error) });
    log.debug('an agent asks what to trust', { identity, nodeId });
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const request of early) this.#take(request);
  }

  #receive(bytes: Uint8Array): void {
    let request: DeltaDiscoveryRequest;
    try {
      request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
    } catch (cause) {
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the request does not parse', cause);
    }
    this.#first.resolve(request);
    if (!this.#early) {
      this.#take(request);
      return;
    }
    this.#early.push(request);
    if (this.#early.length > EARLY_REQUESTS_MAX)
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, 'too many requests at once');
  }

  #take(request: DeltaDiscoveryRequest): void {
    if (request.typeUrl !== '' && request.typeUrl !== TYPE_URL.secret)
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'only secrets are served here');
    const { name } = this.#deps.resource();
    for (const one of [name, TRUST_BUNDLES_NAME])
      if (request.resourceNamesSubscribe.includes(one)) this.#wanted.add(one);
    if (request.resourceNamesUnsubscribe.includes(name)) {
      this.#wanted.clear();
      this.#isFarewell = true;
    }
    if (request.responseNonce === this.#outstanding?.nonce) this.#answered(request);
    const report = request.node?.metadata?.[CONNECTIONS_FIELD];
    if (report !== undefined) this.#reported(report);
    this.flush();
  }

  #reported(report: unknown): void {
    const { connections, log } = this.#deps;
    const problem = this.#peer && connections.take(this.#peer, this, report);
    if (problem !== undefined)
      log.warn('what an agent tells of connections is not used', { key: this.#key, problem });
  }

  #answered({ errorDetail }: DeltaDiscoveryRequest): void {
    const resource = this.#outstanding?.resource;
    this.#outstanding = undefined;
    const error = errorDetail?.message.slice(0, REASON_LENGTH_MAX);
    if (error !== undefined)
      this.#deps.log.warn('a workload does not trust what it should', { key: this.#key, error });
    if (this.#key === undefined || resource?.name !== this.#deps.resource().name) return;
    this.#deps.peers.answered(this.#key, this, { version: resource.version, error });
  }

  #ended(): void {
    this.#isOver = true;
    this.#first.reject(new Error('the stream ended'));
    this.#wanted.clear();
    const isFarewell = this.#isFarewell;
    if (this.#key !== undefined) this.#deps.peers.closed(this.#key, this, { isFarewell });
    if (this.#peer) this.#deps.connections.closed(this.#peer, this);
    this.#key = undefined;
  }

  #fail(error: unknown): void {
    if (error instanceof AssertionFailure) queueMicrotask(() => rethrow(error));
    if (this.#stream.call.signal.aborted) return;
    if (error instanceof GrpcStatusError) {
      this.#deps.log.warn('trust stream refused', { error: error.cause ?? error });
      this.end(error);
      return;
    }
    this.#deps.log.error('trust stream failed', { error });
    this.end(new GrpcStatusError(GRPC_STATUS.internal, 'internal error'));
  }
}

function rethrow(error: unknown): never {
  throw error;
}
