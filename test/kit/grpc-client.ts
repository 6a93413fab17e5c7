import type { TestContext } from 'node:test';
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  Metadata,
} from '@grpc/grpc-js';

/** How a call ended, and what came back. */
export interface GrpcOutcome {
  readonly code: number;
  readonly details: string;
  readonly messages: readonly string[];
}

/** A bidirectional stream as a test drives it. */
export interface GrpcTestStream {
  /** Messages so far. */
  readonly messages: Buffer[];
  send(message: string | Uint8Array): void;
  /** Says that nothing more will be sent. */
  finish(): void;
  cancel(): void;
  /** Resolves with the message of this number, from 0 on; rejects when the stream ends before. */
  message(index: number): Promise<Buffer>;
  /** How the stream ends. */
  readonly outcome: Promise<GrpcOutcome>;
}

export interface GrpcCallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const asIs = (bytes: Buffer): Buffer => bytes;

/** A gRPC client of bytes, on the reference implementation for Node; it closes with the test. */
export class GrpcTestClient {
  readonly #client: Client;

  constructor(
    test: Pick<TestContext, 'after'>,
    target: string,
    credentials = ChannelCredentials.createInsecure(),
    options: ClientOptions = {},
  ) {
    this.#client = new Client(target, credentials, {
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
    test.after(() => this.#client.close());
  }

  /** Makes a call with one request; never rejects. */
  unary(path: string, request: string | Uint8Array, options: GrpcCallOptions = {}) {
    return new Promise<GrpcOutcome>((resolve) => {
      const messages: string[] = [];
      const call = this.#client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        Buffer.from(request),
        metadataOf(options),
        callOptions(options),
        (_error, response) => void (response && messages.push(response.toString())),
      );
      call.on('status', ({ code, details }) => resolve({ code, details, messages }));
    });
  }

  stream(path: string, options: GrpcCallOptions = {}): GrpcTestStream {
    const call = this.#client.makeBidiStreamRequest<Buffer, Buffer>(
      path,
      asIs,
      asIs,
      metadataOf(options),
      callOptions(options),
    );
    return driveStream(call);
  }
}

function driveStream(call: ClientDuplexStream<Buffer, Buffer>): GrpcTestStream {
  const messages: Buffer[] = [];
  const waiting = new Set<() => void>();
  let ended: GrpcOutcome | undefined;
  const tell = (): void => {
    for (const look of waiting) look();
  };
  call.on('error', () => {});
  call.on('data', (message: Buffer) => {
    messages.push(message);
    tell();
  });
  const outcome = new Promise<GrpcOutcome>((resolve) => {
    call.on('status', ({ code, details }) => {
      ended = { code, details, messages: messages.map(String) };
      tell();
      resolve(ended);
    });
  });
  const message = (index: number): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = messages[index];
        if (!found && !ended) return;
        waiting.delete(look);
        if (found) resolve(found);
        else reject(new Error(`the stream ended: ${ended?.code} ${ended?.details}`));
      };
      waiting.add(look);
      look();
    });
  const send = (bytes: string | Uint8Array): void => void call.write(Buffer.from(bytes));
  const finish = (): void => void call.end();
  return { messages, send, finish, cancel: () => call.cancel(), message, outcome };
}

function metadataOf({ metadata = {} }: GrpcCallOptions): Metadata {
  const result = new Metadata();
  for (const [name, value] of Object.entries(metadata)) result.set(name, value);
  return result;
}

function callOptions({ timeoutMs }: GrpcCallOptions): { deadline?: number } {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}
