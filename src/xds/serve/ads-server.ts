import type { Clock } from '#base/clock.ts';
import {
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcService,
} from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { ProxyCaller } from '#xds/node-metadata.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { XdsSnapshot } from '#xds/resource.ts';
import { ClusterEndpoints } from '#xds/serve/cluster-recovery.ts';
import { createXdsMetrics } from '#xds/serve/metrics.ts';
import type { ProxyProgress, ProxyStatus } from '#xds/serve/proxy-status.ts';
import { ProxyStream, type SharedState } from '#xds/serve/proxy-stream.ts';
import { PushScheduler } from '#xds/serve/push-scheduler.ts';
import { ResourceDiffs } from '#xds/serve/resource-diff.ts';
import type { DiscoveryName } from '#xds/serve/resource-types.ts';
import { FrameCache } from '#xds/serve/response-frame.ts';

/** Where configuration comes from. */
export interface ConfigSource {
  /**
   * What a proxy may have now. Maps and resources that did not change must be the same objects as
   * before: what is shared is compared and encoded once.
   * @throws BulwarkError when none can be made; the proxy then keeps what it has
   */
  snapshotFor(node: ProxyNode): XdsSnapshot;
  /** Of what snapshots are made of now; grows with each change of that. 0 when left out. */
  readonly version?: number;
}

/** How a proxy answered one response. */
export interface PushAnswer {
  readonly node: ProxyNode;
  readonly type: DiscoveryName;
  /** What was in the response. */
  readonly resources: readonly { readonly name: string; readonly version: string }[];
  readonly removed: readonly string[];
  /** Envoy's words when it rejected it. */
  readonly error: string | undefined;
}

/** What an AdsServer needs. */
export interface AdsServerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly source: ConfigSource;
  /**
   * Who opened a stream, by certificate or token.
   * @throws GrpcStatusError UNAUTHENTICATED
   */
  readonly authenticate: (call: GrpcCall) => Promise<ProxyCaller>;
  /**
   * Called before anything is sent to a proxy, once for each of its streams; streams of one proxy
   * may overlap when it connects again. `signal` aborts when the stream ends meanwhile.
   * @throws GrpcStatusError to refuse the stream
   */
  readonly onConnect?: (node: ProxyNode, signal: AbortSignal) => Promise<void> | void;
  /** Called once for each stream for which `onConnect` went well. */
  readonly onDisconnect?: (node: ProxyNode) => Promise<void> | void;
  /** Called for each answer of a proxy. */
  readonly onAnswer?: (answer: PushAnswer) => void;
  /** Called, often, whenever `progress` may say something new. */
  readonly onProgress?: () => void;
}

/** The method of incremental xDS over one aggregated stream. */
const DELTA_PATH =
  '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

/**
 * Serves configuration to proxies by aggregated discovery (ADS), incremental variant: keeps the
 * streams, and sends to each what changed for it, the first change at once.
 */
export class AdsServer {
  /** To be given to a GrpcServer. */
  readonly service: GrpcService;
  readonly #shared: SharedState;
  /** All streams, opening ones too. */
  readonly #streams = new Set<ProxyStream>();
  readonly #open = new Set<ProxyStream>();
  readonly #scheduler: PushScheduler<ProxyStream>;
  #closing = false;

  constructor(deps: AdsServerDeps) {
    const metrics = createXdsMetrics(deps.metrics, {
      connected: () => this.#open.size,
      rejecting: (type) => [...this.#open].filter((stream) => stream.rejects(type)).length,
    });
    this.#scheduler = new PushScheduler(deps.clock, (stream, nowMs) => stream.update(nowMs));
    this.#shared = {
      deps,
      metrics,
      diffs: new ResourceDiffs(),
      frames: new FrameCache({
        bytesMax: LIMITS.xdsFrameCacheBytesMax,
        onBuilt: (typeUrl, bytesCount) => metrics.noteSize(typeUrl, bytesCount),
      }),
      endpoints: new ClusterEndpoints(),
      opened: (stream) => this.#open.add(stream),
      closed: (stream) => {
        this.#open.delete(stream);
        deps.onProgress?.();
      },
    };
    this.service = { streams: { [DELTA_PATH]: (stream) => this.#accept(stream) } };
  }

  /**
   * What the source gives has changed: for the proxies that `concerns` says, or for all. Returns at
   * once; what changes while pushes go on is sent with them.
   */
  configChanged(concerns: (node: ProxyNode) => boolean = () => true): void {
    const nowMs = this.#shared.deps.clock.monotonicMs();
    for (const stream of this.#open) {
      if (!stream.node || !concerns(stream.node)) continue;
      stream.noteChange(nowMs);
      this.#scheduler.mark(stream);
    }
  }

  /** How each connected proxy stands, in the order in which they connected. */
  proxies(): readonly ProxyStatus[] {
    return [...this.#open].flatMap((stream) => stream.status() ?? []);
  }

  /** Which changes of the source are in force in each of them. */
  progress(): readonly ProxyProgress[] {
    return [...this.#open].flatMap((stream) => stream.progress() ?? []);
  }

  /** Who they are. */
  nodes(): readonly ProxyNode[] {
    return [...this.#open].flatMap(({ node }) => node ?? []);
  }

  /** Ends the streams of those that are not to have any more; they are asked anew who they are. */
  endStreams(isOver: (call: GrpcCall, node: ProxyNode) => boolean): void {
    for (const stream of this.#streams) stream.checks.ask((node) => isOver(stream.call, node));
  }

  /** Ends all streams and takes no more: proxies go to another server, or come back. */
  close(): void {
    this.#closing = true;
    for (const stream of this.#streams)
      stream.end(GRPC_STATUS.unavailable, 'the server is closing');
  }

  #accept(stream: GrpcServerStream): void {
    if (this.#closing) {
      stream.end(GRPC_STATUS.unavailable, 'the server is closing');
      return;
    }
    if (this.#streams.size >= LIMITS.xdsStreamsMax) {
      stream.end(GRPC_STATUS.resourceExhausted, `more than ${LIMITS.xdsStreamsMax} streams`);
      return;
    }
    const proxy = new ProxyStream(stream, this.#shared);
    this.#streams.add(proxy);
    stream.call.signal.addEventListener('abort', () => this.#streams.delete(proxy));
  }
}
