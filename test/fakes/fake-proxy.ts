import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GrpcCall, GrpcServerStream, GrpcService, GrpcStatusCode } from '#base/grpc/grpc.ts';
import { NodeSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';

type Request = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;
type NodeInit = MessageInitShape<typeof NodeSchema>;

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

/** A response as tests compare it. */
export interface SeenResponse {
  /** `Cluster`, `ClusterLoadAssignment` … */
  readonly type: string;
  readonly names: readonly string[];
  readonly versions: readonly string[];
  readonly removed: readonly string[];
  readonly nonce: string;
}

export interface FakeProxyOptions {
  readonly node?: NodeInit | undefined;
  readonly peer?: GrpcCall['peer'];
}

/** The other end of a delta stream without a network: says what a test says, keeps what it gets. */
export class FakeProxy {
  /** The method that proxies call. */
  static readonly path = PATH;
  readonly responses: SeenResponse[] = [];
  /** How the server ended the stream. */
  ended: { readonly status: GrpcStatusCode; readonly message: string } | 'reset' | undefined;
  /** Bytes that count as unread; they grow with each response when `reads` is false. */
  unsentBytes = 0;
  reads = true;
  readonly frames: Uint8Array[] = [];
  readonly #stream: GrpcServerStream;
  readonly #abort = new AbortController();
  #node: NodeInit | undefined;

  constructor(service: GrpcService, { node, peer }: FakeProxyOptions = {}) {
    this.#node = node;
    const end = (how: FakeProxy['ended']): void => {
      if (this.ended) return;
      this.ended = how;
      this.#gone();
    };
    const unsent = () => this.unsentBytes;
    this.#stream = {
      call: {
        path: PATH,
        metadata: {},
        peer: peer ?? { address: 'unix', verifiedCertificate: undefined },
        signal: this.#abort.signal,
      },
      onMessage: () => {},
      onEnd: () => {},
      writeFrame: (frame) => this.#take(frame),
      drained: () => Promise.resolve(),
      get unsentBytes() {
        return unsent();
      },
      end: (status, message = '') => end({ status, message }),
      reset: () => end('reset'),
    };
    service.streams?.[PATH]?.(this.#stream);
  }

  /** The last response of a type. */
  last(type: string): SeenResponse | undefined {
    return this.responses.findLast((response) => response.type === type);
  }

  /** Responses since the last call, as `Cluster +a +b -c`. */
  news(): string[] {
    const count = this.#reported;
    this.#reported = this.responses.length;
    return this.responses.slice(count).map(({ type, names, removed }) => {
      const changes = [...names.map((name) => `+${name}`), ...removed.map((name) => `-${name}`)];
      return [type, ...changes].join(' ');
    });
  }
  #reported = 0;

  /** Sends a request; the first one carries the node. */
  send(request: Request): void {
    const message = create(DeltaDiscoveryRequestSchema, request);
    if (this.#node) message.node = create(NodeSchema, this.#node);
    this.#node = undefined;
    this.sendBytes(toBinary(DeltaDiscoveryRequestSchema, message));
  }

  sendBytes(bytes: Uint8Array): void {
    try {
      this.#stream.onMessage(bytes);
    } catch (error) {
      const { status, message } = error as { status: GrpcStatusCode; message: string };
      if (typeof status !== 'number') throw error;
      this.#stream.end(status, message);
    }
  }

  subscribe(typeUrl: string, names: string[] = [], initialResourceVersions = {}): void {
    this.send({ typeUrl, resourceNamesSubscribe: names, initialResourceVersions });
  }

  unsubscribe(typeUrl: string, names: string[]): void {
    this.send({ typeUrl, resourceNamesUnsubscribe: names });
  }

  /** Takes the last response of a type. */
  ack(typeUrl: string, nonce = this.#nonceOf(typeUrl)): void {
    this.send({ typeUrl, responseNonce: nonce });
  }

  /** Takes every response that was not answered yet, and those that follow from it. */
  ackAll(): void {
    for (; this.#answered < this.responses.length; this.#answered += 1) {
      const response = this.responses[this.#answered];
      if (response)
        this.send({ typeUrl: this.#urls.get(response) ?? '', responseNonce: response.nonce });
    }
  }
  #answered = 0;
  readonly #urls = new Map<SeenResponse, string>();

  /** Rejects the last response of a type. */
  nack(typeUrl: string, message: string, nonce = this.#nonceOf(typeUrl)): void {
    this.send({ typeUrl, responseNonce: nonce, errorDetail: { code: 13, message } });
  }

  /** The proxy goes away. */
  disconnect(): void {
    this.#gone();
  }

  #nonceOf(typeUrl: string): string {
    return this.last(typeUrl.split('.').at(-1) ?? '')?.nonce ?? '';
  }

  #gone(): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#stream.onEnd();
  }

  #take(frame: Uint8Array): boolean {
    if (this.ended) return true;
    this.frames.push(frame);
    if (!this.reads) this.unsentBytes += frame.length;
    const response = fromBinary(DeltaDiscoveryResponseSchema, frame.subarray(5));
    const seen = seenOf(response);
    this.#urls.set(seen, response.typeUrl);
    this.responses.push(seen);
    return this.unsentBytes === 0;
  }
}

function seenOf(response: DeltaDiscoveryResponse): SeenResponse {
  return {
    type: response.typeUrl.split('.').at(-1) ?? '',
    names: response.resources.map(({ name }) => name),
    versions: response.resources.map(({ version }) => version),
    removed: response.removedResources,
    nonce: response.nonce,
  };
}
