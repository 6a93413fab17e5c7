import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { writeFileAtomic } from '#base/files.ts';

interface Edition {
  readonly digest: string;
  readonly sequence: number;
}

/**
 * The number of the bundle's edition (`spiffe_sequence`): grows with each change, also over
 * restarts, because it is never less than the time of the change in seconds.
 */
export class BundleSequence {
  readonly #path: string;
  readonly #clock: Clock;
  #edition: Edition | undefined;

  constructor(path: string, { clock }: { readonly clock: Clock }) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Reads the last edition. */
  async open(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => '{}');
    this.#edition = readEdition(text);
  }

  /** When it changed last, wall-clock milliseconds; 0 before there was any. */
  get changedAt(): number {
    return (this.#edition?.sequence ?? 0) * 1000;
  }

  /**
   * The number for this content.
   * @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL
   */
  async of(content: string): Promise<number> {
    const digest = createHash('sha256').update(content).digest('hex');
    if (this.#edition?.digest === digest) return this.#edition.sequence;
    const seconds = Math.floor(this.#clock.now() / 1000);
    const sequence = Math.max(seconds, (this.#edition?.sequence ?? 0) + 1);
    this.#edition = { digest, sequence };
    await writeFileAtomic(this.#path, `${JSON.stringify(this.#edition)}\n`);
    return sequence;
  }
}

/** Damaged or absent: the time alone then makes it grow. */
function readEdition(text: string): Edition | undefined {
  try {
    const { digest, sequence } = JSON.parse(text) as Partial<Edition>;
    if (typeof digest !== 'string' || !Number.isSafeInteger(sequence)) return undefined;
    return { digest, sequence: sequence ?? 0 };
  } catch {
    return undefined;
  }
}
