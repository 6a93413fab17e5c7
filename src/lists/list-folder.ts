import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readList } from '#api/kinds/mixer-list.ts';
import { ensurePrivateDirectory, writeFileAtomic } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import { type ListSource, listKey } from '#model/fetched-lists.ts';

/** A list as it was when it was last fetched. */
export interface KeptList {
  readonly source: ListSource;
  readonly entries: readonly string[];
  /** Milliseconds since 1970. */
  readonly fetchedAt: number;
}

/**
 * The last good lists on disk: a provider that is down when the control plane starts must not lock
 * everybody out while its list counts.
 */
export class ListFolder {
  readonly #path: string;
  readonly #log: Logger;

  constructor(path: string, deps: { readonly log: Logger }) {
    this.#path = path;
    this.#log = deps.log;
  }

  /** All that is kept and counts at `now`; what cannot be used, or is too old, is removed. */
  async load(now: number): Promise<readonly KeptList[]> {
    await ensurePrivateDirectory(this.#path);
    const names = (await readdir(this.#path)).filter((name) => name.endsWith('.json'));
    const kept = await Promise.all(names.map((name) => this.#read(name, now)));
    return kept.flatMap((one) => one ?? []);
  }

  /** @throws BulwarkError FILES_UNWRITABLE, FILES_DISK_FULL */
  async save(list: KeptList): Promise<void> {
    await writeFileAtomic(join(this.#path, fileOf(list.source)), JSON.stringify(list));
  }

  async forget(source: ListSource): Promise<void> {
    await rm(join(this.#path, fileOf(source)), { force: true });
  }

  async #read(name: string, now: number): Promise<KeptList | undefined> {
    const path = join(this.#path, name);
    try {
      const kept = JSON.parse(await readFile(path, 'utf8')) as KeptList;
      const { source, entries, fetchedAt } = kept;
      const ageMs = now - fetchedAt;
      const counts = ageMs >= 0 && ageMs < source.ttlMs && fileOf(source) === name;
      if (counts && 'entries' in readList(entries.join('\n'), source.entryType)) return kept;
    } catch (error) {
      this.#log.warn('a list that was kept cannot be read', { name, error });
    }
    await rm(path, { force: true });
    return undefined;
  }
}

function fileOf(source: ListSource): string {
  return `${createHash('sha256').update(listKey(source)).digest('hex').slice(0, 32)}.json`;
}
