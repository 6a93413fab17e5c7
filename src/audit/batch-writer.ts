import { Backoff } from '#base/backoff.ts';
import { type Clock, delay } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';

/** What becomes of lines. */
export interface BatchWriterOptions {
  /** For the log. */
  readonly name: string;
  /** Lines that wait at most; more are dropped. */
  readonly linesMax: number;
  /** Characters of the lines that wait. */
  readonly charactersMax: number;
  /** Lines that are written at one time. */
  readonly batchMax: number;
  /** Writes them. What it throws counts as lost, or is tried again. */
  readonly write: (lines: readonly string[]) => Promise<void>;
  /** Whether lines are kept until they are written. */
  readonly isRetried: boolean;
}

/** Thrown by who writes lines that are not worth another try. */
export class LinesRefused extends Error {}

export interface BatchWriterDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  /** Told of lines that are gone. */
  readonly onLost: (count: number) => void;
}

const RETRY = { delayMsMin: 500, delayMsMax: 30_000 };
const TELL_MS = 1000;
/** How long lines are waited for at the end that a place does not take. */
const CLOSE_MS_MAX = 3000;

/**
 * Takes lines at once and writes them when it can, in order. Who gives lines never waits: what
 * does not fit is dropped, counted, and told as a number once a second.
 */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #deps: BatchWriterDeps;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #isClosing = false;
  #waiting: string[] = [];
  #characters = 0;
  #running: Promise<void> | undefined;
  #lost = 0;
  #reason: unknown;

  constructor(options: BatchWriterOptions, deps: BatchWriterDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY, deps.random);
  }

  /** Takes a line, without its end. */
  push(line: string): void {
    const { linesMax, charactersMax } = this.#options;
    const isFull = this.#waiting.length >= linesMax;
    if (isFull || this.#characters + line.length > charactersMax || this.#closing.signal.aborted) {
      this.#lose(1, undefined);
      return;
    }
    this.#waiting.push(line);
    this.#characters += line.length;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when what was taken before is written, or lost. */
  async flushed(): Promise<void> {
    await this.#running;
  }

  /** Writes what waits; what cannot be written soon, or at the first try, is lost. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const { signal } = this.#closing;
    const over = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => over.resolve(), { once: true });
    const timer = this.#deps.clock.after(CLOSE_MS_MAX, () => this.#closing.abort());
    if (this.#backoff.attempts > 0) this.#closing.abort();
    await Promise.race([this.#running, over.promise]);
    timer.cancel();
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    // Whatever comes in the same turn goes out together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      if (this.#closing.signal.aborted) {
        this.#lose(this.#waiting.length, this.#reason);
        this.#waiting = [];
        return;
      }
      const batch = this.#waiting.slice(0, this.#options.batchMax);
      const isWritten = await this.#write(batch);
      this.#waiting = this.#waiting.slice(batch.length);
      for (const line of batch) this.#characters -= line.length;
      if (!isWritten) this.#lose(batch.length, this.#reason);
    }
  }

  async #write(batch: readonly string[]): Promise<boolean> {
    const { write, isRetried, name } = this.#options;
    for (;;) {
      try {
        await write(batch);
        this.#backoff.reset();
        return true;
      } catch (error) {
        this.#reason = error;
        const { signal } = this.#closing;
        if (this.#isClosing) this.#closing.abort();
        if (!isRetried || signal.aborted || error instanceof LinesRefused) return false;
        if (this.#backoff.attempts === 0)
          this.#deps.log.warn('records are not taken, and wait', { sink: name, error });
        await delay(this.#deps.clock, this.#backoff.nextDelayMs(), signal);
      }
    }
  }

  #lose(count: number, error: unknown): void {
    const { clock, log, onLost } = this.#deps;
    if (this.#lost === 0)
      clock.after(TELL_MS, () => {
        log.error('records are lost', { sink: this.#options.name, lost: this.#lost, error });
        this.#lost = 0;
      });
    this.#lost += count;
    onLost(count);
  }
}
