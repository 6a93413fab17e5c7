import { fromBinary } from '@bufbuild/protobuf';
import { AssertionFailure } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import {
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';
import type { Logger } from '#base/log.ts';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { ProxyCaller } from '#xds/node-metadata.ts';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { CallerChecks } from '#xds/serve/caller-checks.ts';
import { CONNECTIONS_FIELD, type ConnectionReports } from '#xds/serve/connection-reports.ts';
import { encodeResponseFrame } from '#xds/serve/response-frame.ts';
import { endAtExpiry } from '#xds/serve/stream-expiry.ts';
import { nodeOfStream } from '#xds/serve/stream-node.ts';
import type { TrustCertificate, TrustPeerIdentity, TrustPeers } from '#xds/serve/trust-peers.ts';
import { TRUST_BUNDLES_NAME } from '#xds/serve/trust-resource.ts';

const FIRST_REQUEST_MS_MAX = 15_000;
const EARLY_REQUESTS_MAX = 16;
const REASON_LENGTH_MAX = 500;

/** Who opened a stream: a workload, by the certificate that it serves with. */
export interface TrustCaller extends ProxyCaller {
  /** Undefined when it came with a token. */
  readonly certificate: TrustCertificate | undefined;
}

/** What a stream needs of its server. */
export interface TrustStreamDeps {
  readonly log: Logger;
  readonly clock: Clock;
  /** @throws GrpcStatusError UNAUTHENTICATED */
  readonly authenticate: (call: GrpcCall) => Promise<TrustCaller>;
  readonly peers: TrustPeers;
  readonly connections: ConnectionReports;
  readonly resource: () => XdsResource;
  readonly bundles: () => XdsResource | undefined;
  readonly nextNonce: () => string;
}

/** The stream of one agent for one workload; one response at a time is unanswered. */
export class TrustStream {
  /** Asks whether the stream is to end because of whose it is. */
  readonly checks = new CallerChecks<TrustPeerIdentity>(() =>
    this.end(new GrpcStatusError(GRPC_STATUS.unauthenticated, 'authentication failure')),
  );
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
    const peer = { nodeId, identity, namespace, workloadName, certificate };
    this.checks.known(peer);
    if (this.#isOver) return;
    this.#peer = peer;
    this.#key = peers.opened(peer, this);
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
    const error = errorDetail?.message.slice(0, REASON_LENGTH_MAX).replaceAll(/\p{Cc}+/gu, ' ');
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
