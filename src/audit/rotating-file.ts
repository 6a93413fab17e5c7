import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { systemCode } from '#base/errors.ts';
import { OWNER_ONLY } from '#base/files.ts';

/** Where lines are kept. */
export interface RotatingFileOptions {
  /** Of the file that is written to; older ones are `<path>.1`, `<path>.2` and so on. */
  readonly path: string;
  /** Bytes of one file: a file is full when it has that many. */
  readonly bytesMax: number;
  /** How many there are in all; the oldest goes first. */
  readonly filesMax: number;
  /** Whether lines are on the disk, not only on their way, when `append` resolves. */
  readonly isSynced: boolean;
}

const FLAGS = constants.O_APPEND | constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW;

/** Lines in files that only their owner may read; how much is kept is bounded. */
export class RotatingFile {
  readonly #options: RotatingFileOptions;
  #file: FileHandle | undefined;
  #bytes = 0;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
  }

  /**
   * Adds lines, each with its end; one call at a time.
   * @throws the system's error; the lines may then be there in part
   */
  async append(lines: string): Promise<void> {
    if (this.#bytes >= this.#options.bytesMax) await this.#rotate();
    this.#file ??= await this.#open();
    const bytes = Buffer.from(lines);
    try {
      await this.#file.appendFile(bytes);
      this.#bytes += bytes.length;
      if (this.#options.isSynced) await this.#file.datasync();
    } catch (error) {
      // The next attempt looks what is there.
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** What a crash left of a last line gets an end, so that the next one is whole. */
  async #open(): Promise<FileHandle> {
    const file = await open(this.#options.path, FLAGS, OWNER_ONLY);
    try {
      await file.chmod(OWNER_ONLY);
      const { size } = await file.stat();
      this.#bytes = size;
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      if (size > 0 && last.toString() !== '\n') await file.appendFile('\n');
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #rotate(): Promise<void> {
    await this.close();
    const { path, filesMax } = this.#options;
    await rm(`${path}.${filesMax - 1}`, { force: true });
    for (let number = filesMax - 2; number >= 0; number -= 1)
      await move(number === 0 ? path : `${path}.${number}`, `${path}.${number + 1}`);
    this.#bytes = 0;
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
