import { Agent, request } from 'node:http';

/** What came back for one request. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** Whether it went over a connection that was open before. */
  readonly reused: boolean;
}

export interface HttpAsk {
  /** Path, or a whole URL when the other end is an HTTP proxy. */
  readonly target: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const ANSWER_MS_MAX = 10_000;

/**
 * An HTTP/1.1 client with one connection that stays open between requests, as a well-behaved
 * application has it.
 */
export class KeepAliveClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #options: { readonly host: string; readonly port: number };

  constructor(options: { readonly host?: string; readonly port: number }) {
    this.#options = { host: options.host ?? '127.0.0.1', port: options.port };
  }

  /** @throws Error when the connection breaks or nothing comes back in time */
  ask({ target, method, headers }: HttpAsk): Promise<HttpAnswer> {
    const { host, port } = this.#options;
    const host1 = /^https?:\/\/([^/]+)/.exec(target)?.[1];
    const all = { ...(host1 ? { host: host1 } : {}), ...headers };
    return new Promise((resolve, reject) => {
      const sent = request(
        { host, port, path: target, method: method ?? 'GET', agent: this.#agent, headers: all },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const body = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, body, reused: sent.reusedSocket });
          });
        },
      );
      sent.setTimeout(ANSWER_MS_MAX, () => sent.destroy(new Error('no answer in time')));
      sent.on('error', reject);
      sent.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** What a load did. */
export interface LoadReport {
  readonly sent: number;
  readonly failed: number;
  /** The first few failures, in words. */
  readonly failures: readonly string[];
}

/**
 * Asks the same again and again, on `connections` connections, until stopped; counts what was not
 * answered 200.
 */
export class SteadyLoad {
  readonly #clients: KeepAliveClient[];
  readonly #ask: HttpAsk;
  readonly #failures: string[] = [];
  readonly #loops: Promise<void>[];
  #sent = 0;
  #failed = 0;
  #least = Number.POSITIVE_INFINITY;

  constructor(options: {
    readonly port: number;
    readonly ask: HttpAsk;
    readonly connections: number;
  }) {
    this.#ask = options.ask;
    const { port, connections } = options;
    this.#clients = Array.from({ length: connections }, () => new KeepAliveClient({ port }));
    this.#loops = this.#clients.map((client) => this.#run(client));
  }

  get sent(): number {
    return this.#sent;
  }

  /** Ends it once at least so many requests were sent. */
  async stop(atLeast = 0): Promise<LoadReport> {
    this.#least = atLeast;
    await Promise.all(this.#loops);
    for (const client of this.#clients) client.close();
    return { sent: this.#sent, failed: this.#failed, failures: this.#failures };
  }

  async #run(client: KeepAliveClient): Promise<void> {
    while (this.#sent < this.#least) {
      this.#sent += 1;
      try {
        const { status, body } = await client.ask(this.#ask);
        if (status !== 200) this.#fail(`${status} ${body.slice(0, 120)}`);
      } catch (error) {
        this.#fail(String(error));
      }
    }
  }

  #fail(what: string): void {
    this.#failed += 1;
    if (this.#failures.length < 5) this.#failures.push(what);
  }
}
