import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { ClientCredentials } from '#apiserver/client-authority.ts';

/** One request of a test to an API server. */
export interface ApiAsk {
  readonly method?: string;
  readonly path: string;
  /** Sent as it is when it is text or bytes, else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The decoded JSON; {} when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it field by field
  readonly body: any;
}

export interface ApiClientOptions {
  readonly url: string;
  /** PEM of the authority that the server is verified against. */
  readonly ca: string;
  readonly credentials?: ClientCredentials;
  readonly token?: string;
}

/** A watch of a test: what came so far. */
export interface TestWatch {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it field by field
  readonly events: readonly any[];
  readonly status: number;
  /** Resolves when the server ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Asks an API server whatever a test wants, also what no proper client would. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #agent: Agent;

  constructor(test: Pick<TestContext, 'after'>, options: ApiClientOptions) {
    const { ca, credentials } = options;
    this.#options = options;
    this.#agent = new Agent({
      keepAlive: true,
      ca,
      ...(credentials ? { cert: credentials.certificate, key: credentials.key.reveal() } : {}),
    });
    test.after(() => this.#agent.destroy());
  }

  async ask(ask: ApiAsk): Promise<ApiAnswer> {
    const response = await this.#send(ask);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    let body = {};
    try {
      body = JSON.parse(text);
    } catch {
      // Not JSON: the text says what it is.
    }
    return { status: response.statusCode ?? 0, headers: response.headers, text, body };
  }

  get(path: string, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer> {
    return this.ask({ path, ...(headers ? { headers } : {}) });
  }

  post(path: string, body: unknown): Promise<ApiAnswer> {
    return this.ask({ method: 'POST', path, body });
  }

  put(path: string, body: unknown): Promise<ApiAnswer> {
    return this.ask({ method: 'PUT', path, body });
  }

  /** @param type `merge`, `json` or `strategic-merge` */
  patch(path: string, type: string, body: unknown): Promise<ApiAnswer> {
    const headers = { 'content-type': `application/${type}-patch+json` };
    return this.ask({ method: 'PATCH', path, body, headers });
  }

  delete(path: string, body?: unknown): Promise<ApiAnswer> {
    return this.ask({ method: 'DELETE', path, ...(body === undefined ? {} : { body }) });
  }

  /** Resolves when the answer has begun. */
  async watch(path: string, headers: Readonly<Record<string, string>> = {}): Promise<TestWatch> {
    const response = await this.#send({ path, headers });
    const events: unknown[] = [];
    const lines = createInterface({ input: response });
    lines.on('line', (line) => events.push(JSON.parse(line)));
    const ended = new Promise<void>((resolve) => lines.once('close', resolve));
    for (const source of [response, lines]) source.on('error', () => lines.close());
    const close = (): void => void response.destroy();
    return { events, status: response.statusCode ?? 0, ended, close };
  }

  /**
   * Asks for something and reads nothing of the answer until `resume` is called; `received` counts
   * its bytes.
   */
  async stall(path: string): Promise<{ resume(): void; readonly received: Promise<number> }> {
    const response = await this.#send({ path });
    response.pause();
    const received = Promise.withResolvers<number>();
    let bytes = 0;
    response.on('close', () => received.resolve(bytes));
    response.on('error', () => {});
    const resume = (): void => {
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.resume();
    };
    return { resume, received: received.promise };
  }

  #send({ method = 'GET', path, body, headers = {} }: ApiAsk): Promise<IncomingMessage> {
    const { url, token } = this.#options;
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
    const payload = body === undefined ? undefined : isRaw ? body : JSON.stringify(body);
    const all = {
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...(payload === undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const options = { method, agent: this.#agent, headers: all, path };
      const sent = request(url, options, resolve);
      sent.on('error', reject);
      sent.end(payload);
    });
  }
}
