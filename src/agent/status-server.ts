import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { workloadKey } from '#agent/config/workload-options.ts';
import type { AgentStatus } from '#agent/status.ts';
import { listen } from '#base/grpc/listener.ts';
import { createServer } from '#base/http.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';

export interface StatusServerOptions {
  readonly socketPath: string;
  readonly status: () => AgentStatus;
  /** All metrics, Prometheus text. */
  readonly metrics: () => Promise<string>;
}

const REQUEST_MS_MAX = 5000;
const CONNECTIONS_MAX = 100;

/**
 * The read-only view of an agent on its unix socket: `/status` (JSON), `/metrics` (Prometheus),
 * `/healthz` (it runs), `/ready` (every workload does; 503 with the reasons otherwise),
 * `/ready/NAME.NAMESPACE` (one does).
 */
export class StatusServer implements Component {
  readonly name = 'status';
  readonly #options: StatusServerOptions;
  readonly #log: Logger;
  readonly #server: Server;
  #listening = false;

  constructor(options: StatusServerOptions, deps: { readonly log: Logger }) {
    this.#options = options;
    this.#log = deps.log;
    this.#server = createServer(
      { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX },
      (request, response) => {
        this.#answer(request, response).catch((error: unknown) => {
          this.#log.error('the status could not be given', { error });
          response.writeHead(500).end();
        });
      },
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** @throws BulwarkError NET_PORT_TAKEN when another agent listens there, and as `listen` does */
  async start(): Promise<void> {
    await listen(this.#server, { path: this.#options.socketPath });
    this.#listening = true;
  }

  async close(): Promise<void> {
    if (!this.#listening) return;
    this.#listening = false;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET') {
      response.writeHead(405, { allow: 'GET' }).end();
      return;
    }
    const path = request.url?.split('?')[0] ?? '';
    switch (path) {
      case '/status':
        return sendJson(response, 200, this.#options.status());
      case '/metrics':
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
        response.end(await this.#options.metrics());
        return;
      case '/healthz':
        return sendJson(response, 200, { healthy: true });
      default:
        this.#answerReady(path, response);
    }
  }

  #answerReady(path: string, response: ServerResponse): void {
    const { workloads } = this.#options.status();
    const asked = workloads.filter(
      (workload) => path === '/ready' || path === `/ready/${workloadKey(workload)}`,
    );
    if (path !== '/ready' && asked.length === 0) {
      response.writeHead(404).end();
      return;
    }
    const unready = asked.flatMap((workload) =>
      workload.ready ? [] : [{ workload: workloadKey(workload), ...workload.unready }],
    );
    const ready = unready.length === 0;
    sendJson(response, ready ? 200 : 503, { ready, unready });
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}
