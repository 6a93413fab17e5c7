import { fromBinary } from '@bufbuild/protobuf';
import { AssertionFailure } from '#base/assert.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import {
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcStatusCode,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { AdsServerDeps } from '#xds/serve/ads-server.ts';
import { CallerChecks } from '#xds/serve/caller-checks.ts';
import type { ClusterEndpoints } from '#xds/serve/cluster-recovery.ts';
import { DeltaStream } from '#xds/serve/delta-stream.ts';
import type { XdsMetrics } from '#xds/serve/metrics.ts';
import type { ProxyProgress, ProxyStatus } from '#xds/serve/proxy-status.ts';
import type { Markable } from '#xds/serve/push-scheduler.ts';
import type { ResourceChange, ResourceDiffs } from '#xds/serve/resource-diff.ts';
import type { DiscoveryName, ResourceType } from '#xds/serve/resource-types.ts';
import type { FrameCache } from '#xds/serve/response-frame.ts';
import type { StreamContext } from '#xds/serve/stream-context.ts';
import { nodeOfStream } from '#xds/serve/stream-node.ts';
import type { Answer } from '#xds/serve/type-channel.ts';

/** What all streams of a server share. */
export interface SharedState {
  readonly deps: AdsServerDeps;
  readonly metrics: XdsMetrics;
  readonly diffs: ResourceDiffs;
  readonly frames: FrameCache;
  readonly endpoints: ClusterEndpoints;
  /** The stream is ready to be updated from now on. */
  readonly opened: (stream: ProxyStream) => void;
  /** It is gone. */
  readonly closed: (stream: ProxyStream) => void;
}

/** Milliseconds from the opening of a stream to its first request. */
const FIRST_REQUEST_MS_MAX = 15_000;
/** Requests that wait while the caller is looked up; Envoy sends two or three. */
const EARLY_REQUESTS_MAX = 64;

/**
 * One stream of a proxy. States: opening (who is it? may it?) → open → closed. The opening takes
 * the caller's identity from its certificate or token, the rest from the node in the first request,
 * and tells the control plane, before anything is sent.
 */
export class ProxyStream implements Markable, StreamContext {
  marked = false;
  readonly #stream: GrpcServerStream;
  readonly #shared: SharedState;
  readonly #connectedAt: number;
  readonly clock: Clock;
  readonly diffs: ResourceDiffs;
  readonly endpoints: ClusterEndpoints;
  /** Asks whether the stream is to end because of whose it is. */
  readonly checks = new CallerChecks<ProxyNode>(() =>
    this.end(GRPC_STATUS.unauthenticated, 'authentication failure'),
  );
  log: Logger;
  #early: DeltaDiscoveryRequest[] = [];
  #firstRequest = Promise.withResolvers<DeltaDiscoveryRequest>();
  #firstRequestTimer: Timer | undefined;
  #node: ProxyNode | undefined;
  #delta: DeltaStream | undefined;
  #closed = false;
  #failure: string | undefined;
  /** When the change was made that was not sent yet, by the monotonic clock. */
  #changedMs: number | undefined;

  constructor(stream: GrpcServerStream, shared: SharedState) {
    this.#stream = stream;
    this.#shared = shared;
    const { clock, log } = shared.deps;
    this.clock = clock;
    this.diffs = shared.diffs;
    this.endpoints = shared.endpoints;
    this.log = log.child({ peer: stream.call.peer.address });
    this.#connectedAt = clock.now();
    stream.onMessage = (message) => this.#receive(message);
    stream.onEnd = () => this.end(GRPC_STATUS.ok, '');
    this.#firstRequest.promise.catch(() => {});
    this.#firstRequestTimer = clock.after(FIRST_REQUEST_MS_MAX, () =>
      this.end(GRPC_STATUS.deadlineExceeded, 'no request came'),
    );
    this.#open().catch((error) => this.#fail(error));
  }

  /** The proxy; only for a stream that was `opened`. */
  get node(): ProxyNode | undefined {
    return this.#node;
  }

  /** Notes when a change came that concerns this proxy, by the monotonic clock. */
  noteChange(nowMs: number): void {
    this.#changedMs ??= nowMs;
  }

  /** The call that opened it. */
  get call(): GrpcCall {
    return this.#stream.call;
  }

  /** Sends what changed for this proxy. What cannot be made leaves the proxy with what it has. */
  update(nowMs = this.clock.monotonicMs()): void {
    if (!this.#node || this.#closed) return;
    try {
      const { source } = this.#shared.deps;
      const version = source.version ?? 0;
      this.#delta?.update(source.snapshotFor(this.#node), version, nowMs);
      this.#failure = undefined;
      if (!this.#delta?.owes) this.#changedMs = undefined;
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      this.#failure = describeError(error);
      this.#shared.metrics.internalErrors.inc();
      this.log.error('no configuration for this proxy; it keeps what it has', { error });
    }
    this.#shared.deps.onProgress?.();
  }

  /** Ends the stream with a status. */
  end(status: GrpcStatusCode, message: string): void {
    this.#stream.end(status, message);
    this.#close();
  }

  rejects(type: DiscoveryName): boolean {
    return this.#delta?.rejects(type) ?? false;
  }

  /** Which changes are in force. */
  progress(): ProxyProgress | undefined {
    if (!this.#node || !this.#delta) return undefined;
    return { node: this.#node, failure: this.#failure, types: this.#delta.progress() };
  }

  status(): ProxyStatus | undefined {
    if (!this.#node || !this.#delta) return undefined;
    const { nodeId, identity, namespace, serviceAccount, workloadName, envoyVersion } = this.#node;
    return {
      nodeId,
      identity,
      namespace,
      serviceAccount,
      workloadName,
      envoyVersion,
      address: this.#stream.call.peer.address,
      connectedAt: this.#connectedAt,
      failure: this.#failure,
      types: this.#delta.status(),
    };
  }

  async #open(): Promise<void> {
    const { authenticate, onConnect, onDisconnect } = this.#shared.deps;
    const caller = await authenticate(this.#stream.call);
    const { node: message } = await this.#firstRequest.promise;
    const node = nodeOfStream(message, caller);
    this.log = this.log.child({ proxy: node.nodeId });
    await onConnect?.(node, this.#stream.call.signal);
    if (this.#closed) {
      await onDisconnect?.(node);
      return;
    }
    this.#node = node;
    this.#delta = new DeltaStream(this);
    this.#shared.opened(this);
    this.log.info('proxy connected', { identity: node.identity });
    this.checks.known(node);
    this.update();
    const early = this.#early;
    this.#early = [];
    for (const request of early) this.#delta.request(request);
    this.#shared.deps.onProgress?.();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    let request: DeltaDiscoveryRequest;
    try {
      request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
    } catch (cause) {
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the request does not parse', cause);
    }
    this.#firstRequestTimer?.cancel();
    this.#firstRequest.resolve(request);
    if (this.#delta && this.#early.length === 0) {
      this.#delta.request(request);
      this.#shared.deps.onProgress?.();
      return;
    }
    this.#early.push(request);
    if (this.#early.length > EARLY_REQUESTS_MAX)
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, 'too many requests at once');
  }

  expiredNonce({ name }: ResourceType): void {
    this.#shared.metrics.expiredNonces.inc({ type: name });
  }

  guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  send({ name, typeUrl }: ResourceType, change: ResourceChange): string {
    const { frames, metrics } = this.#shared;
    const { nonce, bytes } = frames.get(typeUrl, change);
    const keepsUp = this.#stream.writeFrame(bytes);
    metrics.pushed(name);
    if (this.#changedMs !== undefined) {
      const tookMs = this.clock.monotonicMs() - this.#changedMs;
      metrics.convergenceSeconds.observe(tookMs / 1000);
      this.#changedMs = undefined;
    }
    if (!keepsUp && this.#stream.unsentBytes > LIMITS.xdsUnsentBytesMax) this.#closeSlow();
    return nonce;
  }

  #closeSlow(): void {
    const { unsentBytes } = this.#stream;
    this.#shared.metrics.slowStreams.inc();
    this.log.warn('stream closed: the proxy does not read', { unsentBytes });
    this.#stream.reset();
    this.#close();
  }

  answered({ name: type }: ResourceType, { push, error }: Answer): void {
    const { deps, metrics } = this.#shared;
    const { changed: resources, removed } = push.change;
    if (error !== undefined) {
      metrics.rejects.inc({ type });
      const names = resources.slice(0, 20).map(({ name }) => name);
      this.log.warn('configuration rejected by the proxy', { type, names, reason: error });
    }
    if (!this.#node) return;
    deps.onAnswer?.({ node: this.#node, type, resources, removed, error });
  }

  #fail(error: unknown): void {
    if (error instanceof AssertionFailure) queueMicrotask(() => rethrow(error));
    if (this.#closed) return;
    if (error instanceof GrpcStatusError) {
      this.#shared.metrics.refusedStreams.inc();
      this.log.warn('stream refused', { error: error.cause ?? error });
      this.end(error.status, error.message);
      return;
    }
    this.log.error('stream failed', { error });
    this.end(GRPC_STATUS.internal, 'internal error');
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#firstRequestTimer?.cancel();
    this.#firstRequest.reject(new Error('the stream ended'));
    this.#delta?.close();
    if (!this.#node) return;
    this.#shared.closed(this);
    this.log.info('proxy disconnected');
    const node = this.#node;
    Promise.resolve(this.#shared.deps.onDisconnect?.(node)).catch((error) =>
      this.log.error('the end of a proxy could not be noted', { error }),
    );
  }
}

function rethrow(error: unknown): never {
  throw error;
}
