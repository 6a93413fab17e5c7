import type { AuditSink } from '#audit/audit-trail.ts';

/** Writes records to a stream, one line of JSON each, as fast as it takes them. */
export class StreamSink implements AuditSink {
  readonly name: string;
  readonly batchMax = 1000;
  readonly isRetried = false;
  readonly #stream: NodeJS.WritableStream;

  constructor(name: string, stream: NodeJS.WritableStream) {
    this.name = name;
    this.#stream = stream;
  }

  write(lines: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(`${lines.join('\n')}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }
}
