import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BulwarkError, systemCode } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Metrics } from '#base/metrics.ts';

/** Health and metrics over plain HTTP on loopback, and nothing else: no debug dumps (OP-7). */
export class MonitoringServer implements Component {
  readonly name = 'monitoring';
  readonly #options: { readonly host: string; readonly port: number };
  readonly #metrics: Metrics;
  readonly #isReady: () => boolean;
  #server: Server | undefined;

  constructor(
    options: { readonly host: string; readonly port: number },
    deps: { readonly metrics: Metrics; readonly isReady: () => boolean },
  ) {
    this.#options = options;
    this.#metrics = deps.metrics;
    this.#isReady = deps.isReady;
  }

  /** The port it listens on, once started. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? 0;
  }

  start(): Promise<void> {
    const { host, port } = this.#options;
    const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
      void this.#answer(request.method ?? '', request.url ?? '').then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' });
        response.end(body);
      });
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => reject(listenError(port, cause)));
      server.listen({ host, port }, resolve);
    });
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async #answer(method: string, url: string): Promise<Answer> {
    const path = url.split('?')[0];
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'method not allowed\n');
    if (path === '/metrics') {
      return { status: 200, type: 'text/plain; version=0.0.4', body: await this.#metrics.text() };
    }
    if (path === '/healthz') return text(200, 'ok\n');
    if (path === '/ready') return this.#isReady() ? text(200, 'ok\n') : text(503, 'not ready\n');
    return text(404, 'not found\n');
  }
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function text(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body };
}

function listenError(port: number, cause: unknown): BulwarkError {
  if (systemCode(cause) === 'EADDRINUSE') {
    return new BulwarkError('NET_PORT_TAKEN', `port ${port} is in use`, {
      remedy: 'stop what uses it, or choose another with --monitoring-port (0 = any free one)',
      cause,
    });
  }
  return new BulwarkError('NET_LISTEN_FAILED', `cannot listen on port ${port}`, { cause });
}
