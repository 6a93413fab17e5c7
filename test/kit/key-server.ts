import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Answers one request. */
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server of keys on loopback, as an issuer of tokens has one. */
export interface KeyServer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[];
  /** What it answers at a path from now on: a document, or whatever a handler does. */
  serve(path: string, answer: string | Handler): void;
  /** Nobody listens any more, until `open`. */
  shut(): Promise<void>;
  open(): Promise<void>;
}

/** Starts one; ends with the test. With a certificate it speaks TLS. */
export async function startKeyServer(
  test: Pick<TestContext, 'after'>,
  tls?: { readonly certificate: string; readonly privateKey: string },
): Promise<KeyServer> {
  const answers = new Map<string, string | Handler>();
  const asked: string[] = [];
  const handle: Handler = (request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const answer = answers.get(path);
    if (typeof answer === 'function') return answer(request, response);
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(answer);
  };
  const server = tls
    ? createTlsServer({ cert: tls.certificate, key: tls.privateKey }, handle)
    : createServer(handle);
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const shut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  test.after(shut);
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    asked,
    serve: (path, answer) => void answers.set(path, answer),
    shut,
    open: async () => void (await listen(port)),
  };
}
