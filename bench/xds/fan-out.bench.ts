// What a push costs the server: one change of 48 KB to 500 connected proxies, through the whole way
// from `configChanged` to the sockets, against writing the same bytes to 500 bare TCP connections.
// CPU time of this process, in alternation; the readers are in another process.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { present } from '#base/assert.ts';
import { systemClock } from '#base/clock.ts';
import { frameMessage } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { ClusterSchema } from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import { NodeSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { DeltaDiscoveryRequestSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { encodeResource, TYPE_URL, type XdsSnapshot } from '#xds/resource.ts';
import { AdsServer } from '#xds/serve/ads-server.ts';
import { encodeResponseFrame } from '#xds/serve/response-frame.ts';
import type { BenchResult } from '../bench-result.ts';
import type { ConnectionKind, ReaderCommand } from './fan-out-reader.ts';

const STREAMS = 500;
const ROUNDS = 41;
const WARM_UP_ROUNDS = 5;
/** Pushes of each side in a round. */
const BATCH = 5;
const PUSHES = (WARM_UP_ROUNDS + ROUNDS) * BATCH;
const CLUSTERS = 64;
const CLUSTER_BYTES = 768;
const GOAL = 2;

/** 64 clusters, together 48 KB; every generation is another one in all of them. */
function snapshotOf(generation: number): XdsSnapshot {
  const clusters = Array.from({ length: CLUSTERS }, (_, index) => {
    const name = `outbound|80||service-${index}.bench.svc.cluster.local`;
    const altStatName = String(generation).padStart(CLUSTER_BYTES - 200, '.');
    const message = create(ClusterSchema, { name, altStatName });
    return [name, encodeResource(TYPE_URL.cluster, name, ClusterSchema, message)] as const;
  });
  return new Map([[TYPE_URL.cluster, new Map(clusters)]]);
}

/** The readers, and what they are told. */
class Readers {
  readonly #child: ChildProcess = fork(new URL('./fan-out-reader.ts', import.meta.url));

  async tell(command: ReaderCommand): Promise<void> {
    const answer = once(this.#child, 'message');
    this.#child.send(command);
    const [text] = await answer;
    if (text !== 'done') throw new Error(`the readers failed: ${text}`);
  }

  close(): void {
    this.#child.disconnect();
  }
}

/** One side of the comparison, with all its connections open. */
interface Side {
  /** Makes the next bytes ready, outside of the measurement; says how many. */
  prepare(): number;
  /** Sends them to every connection. */
  push(): void;
  /** What has to happen before the next push, outside of the measurement. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** The real server; its proxies have one connection and one stream each. */
class AdsSide implements Side {
  readonly #readers: Readers;
  readonly #ads: AdsServer;
  readonly #grpc: GrpcServer;
  /** All that will be pushed, made before, so that making it leaves nothing to clean up. */
  readonly #snapshots = Array.from({ length: PUSHES + 1 }, (_, index) => snapshotOf(index));
  #generation = 0;
  #answersLeft = 0;
  #answered = Promise.withResolvers<void>();

  constructor(readers: Readers) {
    this.#readers = readers;
    this.#ads = new AdsServer({
      log: silentLogger,
      clock: systemClock,
      metrics: new Metrics(),
      source: { snapshotFor: () => this.#snapshot },
      authenticate: async () => ({
        identity: parseSpiffeId('spiffe://cluster.local/ns/bench/sa/bench'),
        namespace: 'bench',
        serviceAccount: 'bench',
      }),
      onAnswer: () => {
        this.#answersLeft -= 1;
        if (this.#answersLeft === 0) this.#answered.resolve();
      },
    });
    this.#grpc = new GrpcServer(
      { name: 'bench', listen: { host: '127.0.0.1', port: 0 }, services: [this.#ads.service] },
      { log: silentLogger, clock: systemClock },
    );
  }

  async open(): Promise<void> {
    await this.#grpc.start();
    await this.#readers.tell({ do: 'open', kind: 'ads', port: this.#grpc.port, count: STREAMS });
    await this.#say({ node: NODE, typeUrl: TYPE_URL.cluster });
    await this.#readers.tell({ do: 'expect', kind: 'ads', bytes: this.frameBytes });
    await this.settle();
  }

  prepare(): number {
    this.#generation += 1;
    return this.frameBytes;
  }

  push(): void {
    this.#ads.configChanged();
  }

  /** Every proxy takes what it got. */
  async settle(): Promise<void> {
    const nonces = new Set(this.#ads.proxies().map(({ types }) => types.cds?.sent?.nonce));
    if (nonces.size !== 1 || !nonces.has(this.#nonce()))
      throw new Error('the proxies did not get one and the same response');
    this.#answersLeft = STREAMS;
    this.#answered = Promise.withResolvers();
    await this.#say({ typeUrl: TYPE_URL.cluster, responseNonce: this.#nonce() });
    await this.#answered.promise;
  }

  async close(): Promise<void> {
    this.#ads.close();
    await this.#grpc.close();
  }

  get #snapshot(): XdsSnapshot {
    return present(this.#snapshots[this.#generation], 'a snapshot');
  }

  /** Responses are numbered, and each generation is one response. */
  #nonce(): string {
    return String(this.#generation + 1);
  }

  /** Bytes of the response with what proxies may have now. */
  get frameBytes(): number {
    const changed = [...(this.#snapshot.get(TYPE_URL.cluster)?.values() ?? [])];
    return encodeResponseFrame(TYPE_URL.cluster, this.#nonce(), { changed, removed: [] }).length;
  }

  async #say(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): Promise<void> {
    const message = create(DeltaDiscoveryRequestSchema, request);
    const bytes = frameMessage(toBinary(DeltaDiscoveryRequestSchema, message));
    await this.#readers.tell({ do: 'send', message: bytes.toString('base64') });
  }
}

const NODE = create(NodeSchema, {
  id: 'sidecar~127.0.0.1~bench.bench~bench.svc.cluster.local',
  metadata: { NAME: 'bench', NAMESPACE: 'bench', SERVICE_ACCOUNT: 'bench' },
});

/** As many bytes, to bare TCP connections. */
class BareSide implements Side {
  readonly #readers: Readers;
  readonly #bytesCount: number;
  readonly #server = createServer({ noDelay: true });
  readonly #sockets = new Set<Socket>();
  #bytes = Buffer.alloc(0);

  constructor(readers: Readers, bytesCount: number) {
    this.#readers = readers;
    this.#bytesCount = bytesCount;
  }

  async open(): Promise<void> {
    this.#server.on('connection', (socket) => this.#sockets.add(socket));
    this.#server.listen({ host: '127.0.0.1', port: 0, backlog: STREAMS });
    await once(this.#server, 'listening');
    const { port } = this.#server.address() as AddressInfo;
    await this.#readers.tell({ do: 'open', kind: 'bare', port, count: STREAMS });
  }

  prepare(): number {
    this.#bytes = Buffer.alloc(this.#bytesCount, 'x');
    return this.#bytesCount;
  }

  push(): void {
    for (const socket of this.#sockets) socket.write(this.#bytes);
  }

  async settle(): Promise<void> {}

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** CPU microseconds of this process for a push to one connection, until all readers have it all. */
async function costOf(side: Side, kind: ConnectionKind, readers: Readers): Promise<number> {
  let micros = 0;
  for (let count = 0; count < BATCH; count += 1) {
    const bytes = side.prepare();
    const arrived = readers.tell({ do: 'expect', kind, bytes });
    const before = process.cpuUsage();
    side.push();
    await arrived;
    const { user, system } = process.cpuUsage(before);
    micros += user + system;
    await side.settle();
  }
  return micros / BATCH / STREAMS;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return present(sorted[Math.floor(sorted.length / 2)], 'a value');
}

/** One push of 48 KB to 500 streams over writes of the same bytes to 500 bare connections. */
export async function bench(): Promise<BenchResult> {
  const readers = new Readers();
  const ads = new AdsSide(readers);
  await ads.open();
  const bare = new BareSide(readers, ads.frameBytes);
  await bare.open();
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    const cost = { ads: await costOf(ads, 'ads', readers), bare: 0 };
    cost.bare = await costOf(bare, 'bare', readers);
    if (round < WARM_UP_ROUNDS) continue;
    ours.push(cost.ads);
    theirs.push(cost.bare);
  }
  readers.close();
  await Promise.all([ads.close(), bare.close()]);
  const ratios = ours.map((cost, index) => cost / present(theirs[index], 'the other side'));
  return {
    name: 'fan-out',
    numerator: { label: 'xDS push of 48 KB', value: median(ours), unit: 'µs CPU/stream' },
    denominator: { label: 'bare TCP write', value: median(theirs), unit: 'µs CPU/stream' },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
    note: `${STREAMS} connections each, plaintext; answers of the proxies come after the measurement`,
  };
}
