/** How a LineSplitter cuts. */
export interface LineSplitterOptions {
  /** Bytes of one line; a longer one is dropped whole. */
  readonly lineBytesMax: number;
  readonly onLine: (line: string) => void;
  /** Called once for each line that was dropped. */
  readonly onDropped: () => void;
}

const NEWLINE = 0x0a;

/**
 * Cuts the output of a process into lines, holding at most one unfinished line of bounded length.
 */
export class LineSplitter {
  readonly #options: LineSplitterOptions;
  #parts: Buffer[] = [];
  #size = 0;
  #dropping = false;

  constructor(options: LineSplitterOptions) {
    this.#options = options;
  }

  /** Takes the next bytes. */
  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, at));
      this.#finishLine();
      from = at + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  /** The output ended: what is left is the last line. */
  end(): void {
    if (this.#size > 0 || this.#dropping) this.#finishLine();
  }

  #keep(part: Buffer): void {
    if (this.#dropping) return;
    this.#size += part.length;
    if (this.#size > this.#options.lineBytesMax) {
      this.#dropping = true;
      this.#parts = [];
    } else this.#parts.push(part);
  }

  #finishLine(): void {
    const parts = this.#parts;
    const dropped = this.#dropping;
    this.#parts = [];
    this.#size = 0;
    this.#dropping = false;
    if (dropped) this.#options.onDropped();
    else this.#options.onLine(Buffer.concat(parts).toString('utf8'));
  }
}
