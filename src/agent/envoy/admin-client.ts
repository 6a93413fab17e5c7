import { BulwarkError } from '#base/errors.ts';
import { request } from '#base/http.ts';
import { LIMITS } from '#base/limits.ts';

/** An answer of Envoy's admin interface. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

const ANSWER_MS_MAX = 5000;

/** Envoy's admin interface on its unix socket (envoyproxy.io, "Administration interface"). */
export class EnvoyAdmin {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @throws BulwarkError NET_CONNECTION_FAILED when Envoy does not answer */
  get(path: string): Promise<AdminAnswer> {
    return this.#send('GET', path);
  }

  /** For what changes Envoy, such as draining. @throws BulwarkError NET_CONNECTION_FAILED */
  post(path: string): Promise<AdminAnswer> {
    return this.#send('POST', path);
  }

  #send(method: 'GET' | 'POST', path: string): Promise<AdminAnswer> {
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(
          new BulwarkError('NET_CONNECTION_FAILED', `no answer from Envoy to ${method} ${path}`, {
            cause,
          }),
        );
      const sent = request(
        { socketPath: this.#socketPath, method, path, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          let length = 0;
          response.on('data', (chunk: Buffer) => {
            length += chunk.length;
            if (length > LIMITS.envoyAdminAnswerBytesMax)
              sent.destroy(new Error(`answer over ${LIMITS.envoyAdminAnswerBytesMax} bytes`));
            chunks.push(chunk);
          });
          response.on('error', fail);
          response.on('end', () => {
            resolve({
              status: response.statusCode ?? 0,
              body: Buffer.concat(chunks).toString('utf8'),
            });
          });
        },
      );
      sent.setTimeout(ANSWER_MS_MAX, () => sent.destroy(new Error(`none in ${ANSWER_MS_MAX} ms`)));
      sent.on('error', fail);
      sent.end();
    });
  }
}
