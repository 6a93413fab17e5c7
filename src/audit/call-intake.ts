import { fromBinary } from '@bufbuild/protobuf';
import type { RecordedWorkload } from '#admin/audit.ts';
import { callOfEntry, type ToldCall } from '#audit/call-entry.ts';
import { CallRates, type LeftOut } from '#audit/call-rates.ts';
import type { AuditMetrics } from '#audit/metrics.ts';
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
import { type StreamedCalls, StreamedCallsSchema } from '#gen/bulwark/bulwark/audit/v1/calls_pb.js';
import { type Node, NodeSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import { AUDIT_STREAM } from '#xds/audit-tags.ts';
import type { ProxyCaller } from '#xds/node-metadata.ts';
import { CallerChecks } from '#xds/serve/caller-checks.ts';
import { nodeOfStream } from '#xds/serve/stream-node.ts';

export interface CallIntakeDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: AuditMetrics;
  /** Who opened a stream. @throws GrpcStatusError UNAUTHENTICATED */
  readonly authenticate: (call: GrpcCall) => Promise<ProxyCaller>;
  /** Takes a call that was denied or audited. */
  readonly onCall: (call: ToldCall) => void;
  /** Takes a call of the sample. */
  readonly onSample: (call: ToldCall) => void;
  /** Told that calls of a workload are not taken, since they were too many. */
  readonly onLeftOut: (left: LeftOut) => void;
}

/** Envoy's access log service (envoy.service.accesslog.v3), as a proxy opens it. */
const STREAM_PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';
const FIRST_MESSAGE_MS_MAX = 15_000;
const EARLY_MESSAGES_MAX = 16;

/**
 * Takes what proxies tell of the calls to their workloads. Whose calls they are is what the
 * certificate of the stream proves: a proxy can make up calls to itself, and to nobody else.
 */
export class CallIntake {
  /** To be given to a GrpcServer. */
  readonly service: GrpcService;
  readonly #deps: CallIntakeDeps;
  readonly #streams = new Set<CallStream>();
  readonly #rates: CallRates;
  #isClosing = false;

  constructor(deps: CallIntakeDeps) {
    this.#deps = deps;
    this.#rates = new CallRates(deps.clock, (left) => {
      deps.metrics.leftOut.inc(left.count);
      deps.onLeftOut(left);
    });
    this.service = { streams: { [STREAM_PATH]: (stream) => this.#accept(stream) } };
  }

  /** Ends the streams of those that are not believed any more; they are asked anew who they are. */
  endStreams(isOver: (call: GrpcCall, identity: SpiffeId) => boolean): void {
    for (const stream of this.#streams)
      stream.checks.ask((identity) => isOver(stream.call, identity));
  }

  /** Ends all streams and takes no more. */
  close(): void {
    this.#isClosing = true;
    for (const stream of this.#streams)
      stream.end(GRPC_STATUS.unavailable, 'the server is closing');
  }

  #accept(stream: GrpcServerStream): void {
    if (this.#isClosing) {
      stream.end(GRPC_STATUS.unavailable, 'the server is closing');
      return;
    }
    if (this.#streams.size >= LIMITS.auditStreamsMax) {
      stream.end(GRPC_STATUS.resourceExhausted, 'too many streams');
      return;
    }
    const opened = new CallStream(stream, this.#deps, this.#rates);
    this.#streams.add(opened);
    stream.call.signal.addEventListener('abort', () => this.#streams.delete(opened));
  }
}

/** One stream of one thread of a proxy; nothing is answered on it. */
class CallStream {
  readonly #stream: GrpcServerStream;
  readonly #deps: CallIntakeDeps;
  readonly #rates: CallRates;
  readonly #first = Promise.withResolvers<StreamedCalls>();
  /** Asks whether the stream is to end because of whose calls come on it. */
  readonly checks = new CallerChecks<SpiffeId>(() =>
    this.end(GRPC_STATUS.unauthenticated, 'authentication failure'),
  );
  #early: StreamedCalls[] | undefined = [];
  #workload: RecordedWorkload | undefined;
  #isSample = false;

  constructor(stream: GrpcServerStream, deps: CallIntakeDeps, rates: CallRates) {
    this.#stream = stream;
    this.#deps = deps;
    this.#rates = rates;
    this.#first.promise.catch(() => {});
    const timer = deps.clock.after(FIRST_MESSAGE_MS_MAX, () =>
      this.end(GRPC_STATUS.deadlineExceeded, 'no message came'),
    );
    stream.onMessage = (message) => {
      timer.cancel();
      this.#receive(message);
    };
    stream.onEnd = () => {
      timer.cancel();
      this.end(GRPC_STATUS.ok, '');
    };
    this.#open().catch((error) => this.#fail(error));
  }

  get call(): GrpcCall {
    return this.#stream.call;
  }

  end(status: Parameters<GrpcServerStream['end']>[0], message: string): void {
    this.#first.reject(new Error('the stream ended'));
    this.#early = [];
    this.#stream.end(status, message);
  }

  async #open(): Promise<void> {
    const caller = await this.#deps.authenticate(this.#stream.call);
    const { identifier } = await this.#first.promise;
    const { namespace, workloadName } = nodeOfStream(readNode(identifier?.node), caller);
    const name = Buffer.from(identifier?.logName ?? []).toString();
    if (name !== AUDIT_STREAM.records && name !== AUDIT_STREAM.traffic)
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'there is no such log');
    this.#isSample = name === AUDIT_STREAM.traffic;
    this.#workload = { namespace, name: workloadName, identity: caller.identity };
    // Which drops those that came early.
    this.checks.known(caller.identity);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const message of early) this.#take(message, this.#workload);
  }

  #receive(bytes: Uint8Array): void {
    let message: StreamedCalls;
    try {
      message = fromBinary(StreamedCallsSchema, bytes, { readUnknownFields: false });
    } catch (cause) {
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the message does not parse', cause);
    }
    this.#first.resolve(message);
    if (this.#workload) {
      this.#take(message, this.#workload);
      return;
    }
    this.#early?.push(message);
    if ((this.#early?.length ?? 0) > EARLY_MESSAGES_MAX)
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, 'too many messages at once');
  }

  #take({ tcpLogs }: StreamedCalls, workload: RecordedWorkload): void {
    const { clock, metrics, onCall, onSample } = this.#deps;
    for (const entry of tcpLogs?.logEntry ?? []) {
      if (!this.#rates.mayRead(workload, this.#isSample)) continue;
      const call = callOfEntry(entry, workload, clock.now());
      if (!this.#isSample) {
        if (this.#rates.mayRecord(call)) onCall(call);
        continue;
      }
      metrics.sampled.inc();
      onSample(call);
    }
  }

  #fail(error: unknown): void {
    if (this.#stream.call.signal.aborted) return;
    if (error instanceof GrpcStatusError) {
      this.#deps.log.warn('stream of records refused', { error: error.cause ?? error });
      this.end(error.status, error.message);
      return;
    }
    this.#deps.log.error('stream of records failed', { error });
    this.end(GRPC_STATUS.internal, 'internal error');
  }
}

/** @throws GrpcStatusError INVALID_ARGUMENT */
function readNode(bytes: Uint8Array | undefined): Node | undefined {
  try {
    return bytes && fromBinary(NodeSchema, bytes);
  } catch (cause) {
    throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the node does not parse', cause);
  }
}
