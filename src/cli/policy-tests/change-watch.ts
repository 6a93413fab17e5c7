import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { delay, systemClock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';

/** Editors write a file in several steps. */
const SETTLE_MS = 100;

/**
 * Tells when something in folders, or beside files, changed: also what changes while its reader is
 * still at work.
 */
export class ChangeWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  #changed = Promise.withResolvers<void>();

  /**
   * Looks at these from now on; those that are looked at already stay.
   * @throws BulwarkError FILES_UNREADABLE for a file in no folder: nothing could be seen there
   */
  async add(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const found = await stat(name).catch(() => undefined);
      // A file is often replaced and not written to, which only its folder sees.
      const folder = found?.isDirectory() ? name : dirname(name);
      if (!this.#watchers.has(folder)) this.#watchers.set(folder, this.#watch(folder));
    }
  }

  #watch(folder: string): FSWatcher {
    const changed = (): void => this.#changed.resolve();
    try {
      // What becomes of a folder that goes is said by who reads the files.
      return watch(folder, changed).on('error', changed);
    } catch (cause) {
      throw new BulwarkError('FILES_UNREADABLE', `cannot watch ${folder}`, { cause });
    }
  }

  /** Resolves when something changed since the last time, or `signal` aborts. */
  async next(signal: AbortSignal): Promise<void> {
    const end = (): void => this.#changed.resolve();
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    await this.#changed.promise;
    signal.removeEventListener('abort', end);
    await delay(systemClock, SETTLE_MS, signal);
    this.#changed = Promise.withResolvers<void>();
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
  }
}
