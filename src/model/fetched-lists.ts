import { type ListEntryType, type ListParams, listTimes } from '#api/kinds/mixer-list.ts';

/** Where a list of a listchecker comes from, and how long it counts. */
export interface ListSource {
  /** Of http or https. */
  readonly url: string;
  readonly entryType: ListEntryType;
  /** How often it is fetched, in milliseconds. */
  readonly refreshMs: number;
  /** For how long it counts after it was fetched, in milliseconds. */
  readonly ttlMs: number;
}

/** What is known of a list. */
export interface FetchedList {
  /** Undefined: never fetched, or too long ago. The same list is the same object. */
  readonly entries: readonly string[] | undefined;
  /** Why the last attempt to fetch it failed; undefined when it did not. */
  readonly error: string | undefined;
}

/** The list that a listchecker takes from elsewhere; undefined when it has its own entries only. */
export function listSourceOf(params: ListParams): ListSource | undefined {
  const { providerUrl: url = '', entryType = 'STRINGS' } = params;
  return url === '' ? undefined : { url, entryType, ...listTimes(params) };
}

/** One text for each source, so that it can be a key of maps. */
export function listKey({ url, entryType, refreshMs, ttlMs }: ListSource): string {
  return `${entryType} ${refreshMs} ${ttlMs} ${url}`;
}

/** The lists that were fetched. Immutable: other lists, another object. */
export class FetchedLists {
  readonly #lists: ReadonlyMap<string, FetchedList>;

  /** `lists`: by `listKey`. */
  constructor(lists: ReadonlyMap<string, FetchedList>) {
    this.#lists = lists;
  }

  /** Before anything was fetched, and where nothing ever is. */
  static readonly none = new FetchedLists(new Map());

  /** What is known of a list; undefined for one that nobody has tried to fetch. */
  get(source: ListSource): FetchedList | undefined {
    return this.#lists.get(listKey(source));
  }
}
