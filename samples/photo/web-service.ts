import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request, read to its end. */
export interface WebRequest {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly body: string;
}

/** What is sent back. */
export interface WebAnswer {
  readonly status: number;
  /** A text goes out as HTML, anything else as JSON. */
  readonly body: unknown;
  /** Instead of HTML or JSON. */
  readonly contentType?: string;
}

/** One tier of the application. */
export interface WebServiceOptions {
  /** For the log. */
  readonly name: string;
  handle(request: WebRequest): Promise<WebAnswer>;
  /** Called once when the service has answered its last request. */
  close?(): void;
}

const BODY_BYTES_MAX = 64 * 1024;

/**
 * Longer than a proxy in front keeps an idle connection, so that it never sends into a closed one.
 */
const KEEP_ALIVE_MS = 120_000;

/** An error whose message the caller may see. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function log(name: string, fields: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), name, ...fields })}\n`);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) throw new HttpError(413, `at most ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, { status, body, contentType }: WebAnswer): void {
  const html = typeof body === 'string';
  const text = html ? body : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': contentType ?? (html ? 'text/html; charset=utf-8' : 'application/json'),
    'content-length': Buffer.byteLength(text),
    'content-security-policy': "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

/**
 * Runs a service on HOST (127.0.0.1) and PORT (8080) until SIGTERM or SIGINT; `/healthz` tells that
 * it runs.
 */
export function runWebService({ name, handle, close }: WebServiceOptions): void {
  const answer = async (incoming: IncomingMessage): Promise<WebAnswer> => {
    const path = (incoming.url ?? '/').split('?')[0] ?? '/';
    if (path === '/healthz') return { status: 200, body: { status: 'ok' } };
    try {
      return await handle({
        method: incoming.method ?? 'GET',
        path,
        body: await readBody(incoming),
      });
    } catch (error) {
      if (error instanceof HttpError)
        return { status: error.status, body: { error: error.message } };
      log(name, { error: error instanceof Error ? error.stack : String(error) });
      return { status: 500, body: { error: 'internal error' } };
    }
  };
  const server = createServer((incoming, response) => {
    const startedAt = performance.now();
    if (!server.listening) response.setHeader('connection', 'close');
    void answer(incoming).then((result) => {
      send(response, result);
      const ms = Math.round(performance.now() - startedAt);
      log(name, { method: incoming.method, path: incoming.url, status: result.status, ms });
    });
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on('error', (error) => {
    log(name, { error: error.message });
    process.exitCode = 1;
  });
  server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1', () => {
    const { address, port } = server.address() as AddressInfo;
    log(name, { listening: `${address}:${port}` });
  });
  let ending = false;
  const end = (signal: NodeJS.Signals): void => {
    if (ending) return;
    ending = true;
    log(name, { ending: signal });
    server.close(() => close?.());
    server.closeIdleConnections();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
