import type { KindId } from '#api/object.ts';
import { BulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { type Change, eventOf, type History } from '#store/history.ts';
import type { StoreObserver, StoreWatch, StoreWatchOptions } from '#store/store.ts';

interface Watch {
  readonly observer: StoreObserver;
  readonly kinds: ReadonlySet<KindId> | undefined;
  readonly namespace: string | undefined;
  /** The last version that was looked at for this watch. */
  seen: number;
  open: boolean;
}

/**
 * Tells every watch the changes it asked for, in order, each once. A watch reads from the history
 * behind its own mark, whether it resumes or is up to date, so there is no seam between old and new
 * changes.
 */
export class Watchers {
  readonly #history: History;
  readonly #log: Logger;
  readonly #watches = new Set<Watch>();
  #telling = false;
  #again = false;

  constructor(history: History, log: Logger) {
    this.#history = history;
    this.#log = log;
  }

  /** The first events of a watch from an old version come after this call has returned. */
  open(options: StoreWatchOptions, observer: StoreObserver): StoreWatch {
    const { from, kinds, namespace } = options;
    const seen = from === undefined ? this.#history.current : versionOf(from);
    const watch: Watch = {
      observer,
      kinds: kinds && new Set(kinds),
      namespace,
      seen,
      open: true,
    };
    this.#watches.add(watch);
    if (seen !== this.#history.current) queueMicrotask(() => this.tell());
    return {
      close: () => {
        watch.open = false;
        this.#watches.delete(watch);
      },
    };
  }

  /**
   * Brings every watch up to the present version. Called from within an observer, it is done
   * afterwards.
   */
  tell(): void {
    if (this.#telling) {
      this.#again = true;
      return;
    }
    this.#telling = true;
    try {
      do {
        this.#again = false;
        for (const watch of [...this.#watches]) this.#tellOne(watch);
      } while (this.#again);
    } finally {
      this.#telling = false;
    }
  }

  /** Ends all watches without a word: the owner closed the store. */
  closeAll(): void {
    for (const watch of this.#watches) watch.open = false;
    this.#watches.clear();
  }

  #tellOne(watch: Watch): void {
    if (!watch.open) return;
    if (!this.#history.reaches(watch.seen)) {
      const message = `version ${watch.seen} is not known any more`;
      this.#end(watch, new BulwarkError('API_EXPIRED', message, { remedy: 'list again' }));
      return;
    }
    for (const change of this.#history.after(watch.seen)) {
      if (!watch.open) return;
      watch.seen = change.version;
      if (wants(watch, change) && !this.#deliver(watch, change)) return;
    }
  }

  /** An observer that fails has missed a change, so its watch ends: going on would hide the gap. */
  #deliver(watch: Watch, change: Change): boolean {
    try {
      watch.observer.onEvent(eventOf(change));
      return true;
    } catch (cause) {
      this.#log.error('an observer of the store failed', { kind: change.kind, error: cause });
      const message = 'the observer failed and has missed a change';
      this.#end(watch, new BulwarkError('API_EXPIRED', message, { remedy: 'list again', cause }));
      return false;
    }
  }

  #end(watch: Watch, error: BulwarkError): void {
    if (!watch.open) return;
    watch.open = false;
    this.#watches.delete(watch);
    try {
      watch.observer.onError(error);
    } catch (cause) {
      this.#log.error('an observer of the store failed at its end', { error: cause });
    }
  }
}

function wants({ kinds, namespace }: Watch, change: Change): boolean {
  if (kinds && !kinds.has(change.kind)) return false;
  return namespace === undefined || namespace === change.namespace;
}

/**
 * The number of a version that a client gives back.
 * @throws BulwarkError API_BAD_REQUEST
 */
export function versionOf(text: string): number {
  const version = Number(text);
  if (/^\d{1,15}$/.test(text)) return version;
  throw new BulwarkError('API_BAD_REQUEST', `"${text.slice(0, 40)}" is not a resource version`);
}
