import type { DatabaseSync } from 'node:sqlite';
import type { ApiObject } from '#api/object.ts';
import { objectOf } from '#store/frozen.ts';
import type { Change } from '#store/history.ts';
import { lastRevision } from '#store/revise.ts';
import { corrupt } from '#store/sqlite-errors.ts';
import type { Restored } from '#store/table-store.ts';

/** A row of the table `revision`, in the order of its columns. */
export type RevisionRow = [
  version: number,
  type: Change['type'],
  kind: string,
  namespace: string,
  name: string,
  previous: number | null,
  text: string | null,
];

/** The text of one version, parsed when it is first asked for: most old versions never are. */
class StoredText {
  readonly #text: string;
  #object: ApiObject | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get size(): number {
    return this.#text.length;
  }

  get object(): ApiObject {
    this.#object ??= objectOf(this.#text);
    return this.#object;
  }
}

/** A change read back from the file. */
class StoredChange implements Change {
  readonly version: number;
  readonly type: Change['type'];
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly #after: StoredText | undefined;
  readonly #before: StoredText | undefined;
  #deleted: ApiObject | undefined;

  constructor(row: RevisionRow, after: StoredText | undefined, before: StoredText | undefined) {
    [this.version, this.type, this.kind, this.namespace, this.name] = row;
    this.#after = after;
    this.#before = before;
  }

  get size(): number {
    return (this.#after ?? this.#before)?.size ?? 0;
  }

  get object(): ApiObject {
    if (this.#after) return this.#after.object;
    const before = this.previous;
    if (!before) throw new TypeError(`version ${this.version} has no text`);
    this.#deleted ??= lastRevision(before, String(this.version));
    return this.#deleted;
  }

  get previous(): ApiObject | undefined {
    return this.#before?.object;
  }
}

/**
 * Everything in the file. Present objects are parsed, so that a damaged one shows at once.
 * @throws BulwarkError STORE_CORRUPT; what node:sqlite throws
 */
export function readRows(database: DatabaseSync, path: string): Restored {
  const floor = Number(
    database.prepare("SELECT value FROM mark WHERE name = 'floor'").get()?.value,
  );
  const select = database.prepare(
    'SELECT version, type, kind, namespace, name, previous, text FROM revision ORDER BY version',
  );
  select.setReturnArrays(true);
  const texts = new Map<number, StoredText>();
  const latest = new Map<string, StoredChange>();
  const changes: StoredChange[] = [];
  for (const row of select.iterate() as unknown as Iterable<RevisionRow>) {
    const [version, type, kind, namespace, name, previous, text] = row;
    const after = text === null ? undefined : new StoredText(text);
    const before = previous === null ? undefined : texts.get(previous);
    if (after) texts.set(version, after);
    const change = new StoredChange(row, after, before);
    if (version > floor) {
      if (type !== 'ADDED' && !before) throw corrupt(path, new Error(`no row ${previous}`));
      changes.push(change);
    }
    const key = [kind, namespace, name].join('\u0000');
    if (type === 'DELETED') latest.delete(key);
    else latest.set(key, change);
  }
  const objects = [...latest.values()];
  checkReadable(objects, path);
  return { objects, changes, floor };
}

function checkReadable(objects: readonly StoredChange[], path: string): void {
  for (const stored of objects) {
    try {
      const { metadata } = stored.object;
      if (metadata.resourceVersion !== String(stored.version)) throw new Error('wrong version');
      if (metadata.name !== stored.name) throw new Error('wrong name');
    } catch (cause) {
      throw corrupt(path, new Error(`version ${stored.version} does not read back`, { cause }));
    }
  }
}
