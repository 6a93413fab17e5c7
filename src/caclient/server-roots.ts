import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { BulwarkError } from '#base/errors.ts';

/**
 * The roots that the control plane is verified against: those of the file, until the control plane
 * itself named others on a verified stream. A file that was changed after that counts again:
 * whoever writes it has the last word.
 */
export class ServerRoots {
  /** The PEM file. */
  readonly file: string;
  readonly #remedy: string;
  #filePem = '';
  #learned: { readonly rootsPem: string; readonly filePem: string } | undefined;

  /** @param remedy what to do when the file cannot be read */
  constructor(
    file: string,
    remedy = 'set caRoot (BULWARK_CA_ROOT) to the PEM file that the server wrote',
  ) {
    this.file = file;
    this.#remedy = remedy;
  }

  /**
   * The roots to verify against now, PEM; not checked when they come from the file.
   * @throws BulwarkError FILES_UNREADABLE
   */
  async current(): Promise<string> {
    this.#filePem = this.#read();
    if (this.#learned?.filePem !== this.#filePem) this.#learned = undefined;
    return this.#learned?.rootsPem ?? this.#filePem;
  }

  /** A small file, before each certificate: giving way to others takes ten times as long. */
  #read(): string {
    try {
      return readFileSync(this.file, 'utf8');
    } catch (cause) {
      throw new BulwarkError('FILES_UNREADABLE', `cannot read the root certificate ${this.file}`, {
        remedy: this.#remedy,
        cause,
      });
    }
  }

  /**
   * Roots that were learned before a restart, at `learnedAt` (wall-clock milliseconds); not when
   * the file was written after that.
   * @throws BulwarkError FILES_UNREADABLE
   */
  async recall(rootsPem: string, learnedAt: number): Promise<void> {
    await this.current();
    const { mtimeMs } = await stat(this.file);
    if (mtimeMs <= learnedAt) this.learn(rootsPem);
  }

  /** Roots that came over a verified stream and passed their checks. */
  learn(rootsPem: string): void {
    this.#learned = { rootsPem, filePem: this.#filePem };
  }
}
