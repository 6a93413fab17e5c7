import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';

/** How long a client has to take what is left after its stream was ended, in milliseconds. */
const LINGER_MS = 30_000;

/**
 * The answer of a watch: lines as they come, until either side ends it. A client that does not keep
 * up is not waited for: once too much is unsent the stream ends after that, and the client goes on
 * from the last version it got.
 */
export class WatchStream {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #ended = Promise.withResolvers<void>();
  #linger: Timer | undefined;
  #ending = false;

  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
    response.once('close', () => this.#close());
    response.writeHead(200, {
      'content-type': 'application/json',
      'cache-control': 'no-cache, private',
    });
    response.flushHeaders();
  }

  /** Resolves when the stream is over. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Whether lines may still be written. */
  get open(): boolean {
    return !this.#ending;
  }

  /** Sends a line, or ends the stream when the client is too far behind. */
  write(line: string): void {
    if (this.#ending) return;
    this.#response.write(line);
    if (this.#response.writableLength > LIMITS.watchUnsentBytesMax) this.end();
  }

  /** Sends a line for each item, no faster than the client takes them. */
  async writeAll<T>(items: readonly T[], lineOf: (item: T) => string): Promise<void> {
    for (const item of items) {
      if (this.#ending) return;
      if (!this.#response.write(lineOf(item))) await this.#drained();
    }
  }

  /**
   * Ends the stream after what was written; the connection is cut when the client does not take it.
   */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#response.end();
    this.#linger = this.#clock.after(LINGER_MS, () => this.#response.destroy());
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#response.off('drain', done);
        this.#response.off('close', done);
        resolve();
      };
      this.#response.on('drain', done);
      this.#response.on('close', done);
    });
  }

  #close(): void {
    this.#ending = true;
    this.#linger?.cancel();
    this.#ended.resolve();
  }
}
