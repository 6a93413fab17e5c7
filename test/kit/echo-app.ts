import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import type { TestContext } from 'node:test';

/** What an application saw of a request; it answers with this as JSON. */
export interface SeenRequest {
  readonly app: string;
  readonly method: string;
  readonly path: string;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
}

/**
 * An HTTP application on loopback that answers what it sees; ends with the test. Gives its port.
 */
export async function startEchoApp(
  test: Pick<TestContext, 'after'>,
  app: string,
  where: { readonly host?: string; readonly port?: number } = {},
): Promise<number> {
  const server = createServer((request, response) => {
    const seen: SeenRequest = {
      app,
      method: request.method ?? '',
      path: request.url ?? '',
      httpVersion: request.httpVersion,
      headers: request.headers,
      remoteAddress: request.socket.remoteAddress ?? '',
    };
    request.resume().on('end', () => {
      const status = Number(request.headers['x-answer'] ?? 200);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(seen));
    });
  });
  server.listen(where.port ?? 0, where.host ?? '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** An application on loopback that speaks only HTTP/2 without TLS, and answers what it sees. */
export async function startHttp2App(test: Pick<TestContext, 'after'>): Promise<number> {
  const server = createHttp2Server((request, response) => {
    response.end(JSON.stringify({ httpVersion: request.httpVersion, headers: request.headers }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  test.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** What a TCP application counts. */
export interface TcpApp {
  readonly port: number;
  /** Connections that reached it. */
  readonly connections: () => number;
}

/** A TCP application on loopback that sends back what it gets, after a greeting when it has one. */
export async function startTcpApp(
  test: Pick<TestContext, 'after'>,
  greeting = '',
): Promise<TcpApp> {
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections += 1;
    test.after(() => socket.destroy());
    socket.on('error', () => socket.destroy());
    if (greeting !== '') socket.write(greeting);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}
