import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

/**
 * An application that speaks HTTP/2 without TLS as gRPC does: it answers with the path and the
 * identity of the caller, and has a status in its trailers. Gives its port; ends with the test.
 */
export async function startGrpcApp(test: Pick<TestContext, 'after'>): Promise<number> {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => stream.destroy());
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(`${headers[':path']} ${headers['x-forwarded-client-cert'] ?? ''}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** What came back for one request over HTTP/2. */
export interface Http2Answer {
  /** 0 when nothing came back. */
  readonly status: number;
  readonly text: string;
  /** `grpc-status` of the trailers; '' without. */
  readonly grpcStatus: string;
}

const METHODS = {
  http2: { ':method': 'GET', ':path': '/' },
  grpc: {
    ':method': 'POST',
    ':path': '/shop.Cart/Add',
    'content-type': 'application/grpc',
    te: 'trailers',
  },
} as const;
const ANSWER_MS_MAX = 10_000;

/** Makes one request over a connection that is there, and ends that. Never rejects. */
export function callHttp2(socket: Socket, as: keyof typeof METHODS): Promise<Http2Answer> {
  return new Promise((resolve) => {
    let status = 0;
    let text = '';
    let grpcStatus = '';
    const session = connect('http://test', { createConnection: () => socket });
    const end = (): void => {
      session.destroy();
      resolve({ status, text, grpcStatus });
    };
    session.on('error', end).on('close', end).setTimeout(ANSWER_MS_MAX, end);
    const stream = session.request(METHODS[as]);
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
      grpcStatus = String(headers['grpc-status'] ?? '');
    });
    stream.on('trailers', (trailers) => {
      grpcStatus = String(trailers['grpc-status'] ?? '');
    });
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    stream.on('error', end).on('end', end);
    stream.end();
  });
}
