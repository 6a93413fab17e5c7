import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import { BulwarkError } from '#base/errors.ts';
import type { ClusterAccess } from '#kubeclient/kubeconfig.ts';

/** One request to an API server. */
export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query: `/api/v1/namespaces?limit=10`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** `application/json` when left out. */
  readonly contentType?: string;
}

/** One change that a watch tells. */
export interface WatchEvent {
  /** `ERROR`: the object is a Status, and the watch is over. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

/** What came back; a refusal of the server is an answer too. */
export interface KubeResponse {
  /** HTTP status. */
  readonly status: number;
  /** The decoded JSON, or the text when it is none. */
  readonly body: unknown;
}

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const REQUEST_MS_MAX = 30_000;

/**
 * A small client of the Kubernetes API: enough for the command line and the agent, and quick to
 * load.
 */
export class KubeClient {
  readonly access: ClusterAccess;
  readonly #agent: Agent;

  constructor(access: ClusterAccess) {
    this.access = access;
    this.#agent = new Agent({
      keepAlive: true,
      ca: access.certificateAuthority,
      cert: access.clientCertificate,
      key: access.clientKey?.reveal(),
      servername: access.tlsServerName,
      minVersion: 'TLSv1.2',
    });
  }

  /** @throws BulwarkError CLI_CONNECTION_FAILED when there is no answer */
  send({ method, path, body, contentType }: KubeRequest): Promise<KubeResponse> {
    const { server, token } = this.access;
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      accept: 'application/json',
      ...(payload
        ? { 'content-type': contentType ?? 'application/json', 'content-length': payload.length }
        : {}),
      ...(token ? { authorization: `Bearer ${token.reveal()}` } : {}),
    };
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => reject(noAnswer(server, cause));
      const sent = request(
        new URL(path, `${server}/`),
        { method, headers, agent: this.#agent, timeout: REQUEST_MS_MAX },
        (response) => readAnswer(response).then(resolve, fail),
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer in ${REQUEST_MS_MAX / 1000} s`)));
      sent.on('error', fail);
      sent.end(payload);
    });
  }

  /**
   * Like `send`, for callers that take only success. @throws BulwarkError with the server's message
   */
  async expect(kubeRequest: KubeRequest): Promise<unknown> {
    const response = await this.send(kubeRequest);
    if (response.status < 400) return response.body;
    throw refusal(response);
  }

  /**
   * Watches a collection: `onEvent` gets each change as it comes. Resolves when the server ends the
   * watch, or `signal` aborts.
   * @param path with its query, without `watch`
   * @throws BulwarkError with the server's message, or CLI_CONNECTION_FAILED
   */
  watch(path: string, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    const { server, token } = this.access;
    const headers = {
      accept: 'application/json',
      ...(token ? { authorization: `Bearer ${token.reveal()}` } : {}),
    };
    const url = new URL(path, `${server}/`);
    url.searchParams.set('watch', 'true');
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void =>
        signal.aborted ? resolve() : reject(noAnswer(server, cause));
      const sent = request(url, { headers, agent: this.#agent, signal }, (response) => {
        const isRefused = (response.statusCode ?? 0) >= 400;
        const done = isRefused
          ? readAnswer(response).then((answer) => reject(refusal(answer)))
          : readEvents(response, onEvent).then(resolve);
        done.catch(fail);
      });
      sent.on('error', fail);
      sent.end();
    });
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }
}

function noAnswer(server: string, cause: unknown): BulwarkError {
  return new BulwarkError('CLI_CONNECTION_FAILED', `no answer from the API server at ${server}`, {
    remedy: 'check that the server runs and that the kubeconfig is the one it wrote',
    cause,
  });
}

/** The server's refusal as an error: its Status message, with a code by the HTTP status. */
export function refusal({ status, body }: KubeResponse): BulwarkError {
  const said = (body as { message?: unknown } | null)?.message;
  const message = typeof said === 'string' ? said : `the API server answered ${status}`;
  if (status === 401) return new BulwarkError('API_UNAUTHORIZED', message);
  if (status === 403) return new BulwarkError('API_FORBIDDEN', message);
  if (status === 404) return new BulwarkError('API_NOT_FOUND', message);
  if (status === 409) return new BulwarkError('API_CONFLICT', message);
  if (status === 422) return new BulwarkError('API_INVALID', message);
  return new BulwarkError('API_BAD_REQUEST', message, { data: { status } });
}

/** One event in each line. */
async function readEvents(
  response: IncomingMessage,
  onEvent: (event: WatchEvent) => void,
): Promise<void> {
  for await (const line of createInterface({ input: response })) {
    if (line !== '') onEvent(JSON.parse(line) as WatchEvent);
  }
}

async function readAnswer(response: IncomingMessage): Promise<KubeResponse> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > ANSWER_BYTES_MAX) throw new Error(`answer larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const isJson = response.headers['content-type']?.includes('json') ?? false;
  return { status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text };
}
