import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readKeySet } from '#api/key-set.ts';
import { ensurePrivateDirectory, writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { KeySource } from '#model/key-sets.ts';

/** Keys as they were when they were last fetched. */
export interface KeptKeys {
  readonly source: KeySource;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly fetchedAt: number;
}

/**
 * The last good keys of every source, on disk: an issuer that is down when the control plane starts
 * must not lock everybody out. They are public; one file each.
 */
export class KeyFolder {
  readonly #path: string;
  readonly #log: Logger;

  constructor(path: string, deps: { readonly log: Logger }) {
    this.#path = path;
    this.#log = deps.log;
  }

  /** All that is kept; a file that cannot be used is passed over. */
  async load(): Promise<readonly KeptKeys[]> {
    await ensurePrivateDirectory(this.#path);
    const names = (await readdir(this.#path)).filter((name) => name.endsWith('.json'));
    const kept = await Promise.all(names.map((name) => this.#read(name)));
    return kept.flatMap((one) => one ?? []);
  }

  /** @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL */
  async save(keys: KeptKeys): Promise<void> {
    await writeFileAtomic(join(this.#path, fileOf(keys.source)), JSON.stringify(keys));
  }

  async forget(source: KeySource): Promise<void> {
    await rm(join(this.#path, fileOf(source)), { force: true });
  }

  async #read(name: string): Promise<KeptKeys | undefined> {
    try {
      const kept = JSON.parse(await readFile(join(this.#path, name), 'utf8')) as KeptKeys;
      const { source, text, fetchedAt } = kept;
      const read = readKeySet(text, { sharedSecrets: false });
      if (read.ok && fileOf(source) === name && Number.isFinite(fetchedAt)) return kept;
    } catch (error) {
      this.#log.warn('keys of an issuer that were kept cannot be read', { name, error });
    }
    return undefined;
  }
}

function fileOf(source: KeySource): string {
  return `${createHash('sha256').update(source).digest('hex').slice(0, 32)}.json`;
}
