// The receiving side of fan-out.bench.ts, in a process of its own so that its work is not counted:
// opens connections, counts what arrives, and answers only when told to. It speaks just enough
// HTTP/2 to be cheap.
import { connect, type Socket } from 'node:net';

/** What the benchmark tells its reader. */
export type ReaderCommand =
  | {
      readonly do: 'open';
      readonly kind: ConnectionKind;
      readonly port: number;
      readonly count: number;
    }
  /** Sends a message on every HTTP/2 stream: a gRPC message, base64. */
  | { readonly do: 'send'; readonly message: string }
  /** Says `done` once every connection of a kind got this many bytes of payload more. */
  | { readonly do: 'expect'; readonly kind: ConnectionKind; readonly bytes: number };

/** HTTP/2 with one ADS stream each, or nothing but bytes. */
export type ConnectionKind = 'ads' | 'bare';

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const FRAME = { data: 0, headers: 1, settings: 4, ping: 6, windowUpdate: 8 } as const;
const HEAD_BYTES = 9;
const WINDOW_BYTES = 2 ** 31 - 1;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Literal fields, without indexing or Huffman coding (RFC 7541, 6.2.2). */
function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(headers).flatMap(([name, value]) => [
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
  return Buffer.concat(parts);
}

function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(WINDOW_BYTES, 2);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(WINDOW_BYTES - 65_535);
  const headers = encodeHeaders({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': PATH,
    ':authority': 'bench',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(FRAME.settings, 0, 0, settings),
    frame(FRAME.windowUpdate, 0, 0, window),
    frame(FRAME.headers, 4, 1, headers),
  ]);
}

/** Counts the payload of DATA frames; answers SETTINGS and PING, skips everything else. */
class DataCounter {
  readonly #socket: Socket;
  #head = Buffer.alloc(0);
  #left = 0;
  #counts = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  count(chunk: Buffer): number {
    let bytes = 0;
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        if (this.#counts) bytes += taken;
        this.#left -= taken;
        at += taken;
        continue;
      }
      const wanted = HEAD_BYTES - this.#head.length;
      this.#head = Buffer.concat([this.#head, chunk.subarray(at, at + wanted)]);
      at += wanted;
      if (this.#head.length === HEAD_BYTES) this.#begin(this.#head);
    }
    return bytes;
  }

  #begin(head: Buffer): void {
    this.#left = head.readUIntBE(0, 3);
    const type = head.readUInt8(3);
    this.#counts = type === FRAME.data;
    this.#head = Buffer.alloc(0);
    if (type === FRAME.settings && head.readUInt8(4) === 0)
      this.#socket.write(frame(FRAME.settings, 1, 0, Buffer.alloc(0)));
  }
}

class Connections {
  readonly #sockets: Socket[] = [];
  /** Bytes still expected, by connection. */
  readonly #expected: number[] = [];
  #waiting = 0;

  async open(kind: ConnectionKind, port: number, count: number): Promise<void> {
    const opened = Array.from({ length: count }, (_, index) => this.#open(kind, port, index));
    await Promise.all(opened);
  }

  /** Bytes that came before they were expected count too. */
  expect(bytes: number): void {
    for (const [index, left] of this.#expected.entries()) {
      this.#expected[index] = left + bytes;
      if (left + bytes > 0) this.#waiting += 1;
    }
    this.#tell();
  }

  send(message: Buffer): void {
    const data = frame(FRAME.data, 0, 1, message);
    for (const socket of this.#sockets) socket.write(data);
  }

  #open(kind: ConnectionKind, port: number, index: number): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#sockets.push(socket);
    this.#expected.push(0);
    const counter = kind === 'ads' ? new DataCounter(socket) : undefined;
    if (kind === 'ads') socket.write(opening());
    socket.on('data', (chunk) => this.#got(index, counter ? counter.count(chunk) : chunk.length));
    return new Promise((resolve, reject) => socket.on('connect', resolve).on('error', reject));
  }

  #got(index: number, bytes: number): void {
    const left = this.#expected[index] ?? 0;
    this.#expected[index] = left - bytes;
    if (left <= 0 || left - bytes > 0) return;
    this.#waiting -= 1;
    this.#tell();
  }

  #tell(): void {
    if (this.#waiting === 0) process.send?.('done');
  }
}

if (process.send) {
  const kinds = { ads: new Connections(), bare: new Connections() };
  process.on('disconnect', () => process.exit(0));
  process.on('message', (command: ReaderCommand) => {
    switch (command.do) {
      case 'open':
        kinds[command.kind].open(command.kind, command.port, command.count).then(
          () => process.send?.('done'),
          (error) => process.send?.(String(error)),
        );
        break;
      case 'send':
        kinds.ads.send(Buffer.from(command.message, 'base64'));
        process.send?.('done');
        break;
      case 'expect':
        kinds[command.kind].expect(command.bytes);
        break;
    }
  });
}
