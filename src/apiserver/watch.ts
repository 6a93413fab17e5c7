import type { ServerResponse } from 'node:http';
import type { Presenter } from '#apiserver/present.ts';
import { type ListOptions, listOptions } from '#apiserver/query.ts';
import { checkReached, filterOf } from '#apiserver/read.ts';
import { presenterFor, type ResourceContext } from '#apiserver/resource-context.ts';
import type { ObjectFilter } from '#apiserver/selectors.ts';
import { expired } from '#apiserver/status.ts';
import { storeFailure } from '#apiserver/store-failure.ts';
import { WatchStream } from '#apiserver/watch-stream.ts';
import { lastRevision } from '#store/revise.ts';
import type { StoreEvent, StoreList, StoreWatch } from '#store/store.ts';

/**
 * A watch that names no time ends after 30 to 60 minutes, so that clients spread over servers (as
 * Kubernetes does).
 */
const TIMEOUT_SECONDS = { min: 1800, max: 3600 };
const BOOKMARK_EVERY_MS = 60_000;
/** How long before the end of a watch its last bookmark is sent. */
const LAST_BOOKMARK_MS = 1000;

/** Runs a watch on a response; resolves when it is over. */
export type WatchRun = (response: ServerResponse, closing: AbortSignal) => Promise<void>;

/**
 * GET of a collection with `watch=true`. Everything that can be wrong is found before the first
 * byte is sent.
 * @throws ApiError
 */
export async function watchObjects(context: ResourceContext): Promise<WatchRun> {
  const { request, info, kind, deps } = context;
  const presenter = presenterFor(context);
  const options = watchOptions(context, listOptions(request.query, true));
  const filter = filterOf(context, options);
  await checkReached(deps.store, options.resourceVersion);
  const namespace = info.namespace === '' ? {} : { namespace: info.namespace };
  return async (response, closing) => {
    const initial = startsWithState(options)
      ? await deps.store.list(kind.id, namespace)
      : undefined;
    const stream = new WatchStream(response, deps.clock);
    const end = (): void => stream.end();
    closing.addEventListener('abort', end);
    if (closing.aborted) end();
    const session = new WatchSession({ context, presenter, options, filter, stream });
    await session.run(initial);
    closing.removeEventListener('abort', end);
  };
}

/** A watch on one object by its name is a watch with a field selector (the old path form). */
function watchOptions({ info }: ResourceContext, options: ListOptions): ListOptions {
  if (info.name === '') return options;
  const byName = `metadata.name=${info.name}`;
  const fieldSelector = [options.fieldSelector, byName].filter(Boolean).join(',');
  return { ...options, fieldSelector };
}

/** Whether the watch begins with an ADDED event for each object that is there. */
function startsWithState({ resourceVersion, sendInitialEvents }: ListOptions): boolean {
  return sendInitialEvents ?? (resourceVersion === '' || resourceVersion === '0');
}

interface SessionParts {
  readonly context: ResourceContext;
  readonly presenter: Presenter;
  readonly options: ListOptions;
  readonly filter: ObjectFilter | undefined;
  readonly stream: WatchStream;
}

/** One watch while it runs. */
class WatchSession {
  readonly #parts: SessionParts;
  #watch: StoreWatch | undefined;
  #first = true;
  #seen = '0';

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  async run(initial: StoreList | undefined): Promise<void> {
    const { context, options, stream } = this.#parts;
    const cancelTimers = this.#startTimers();
    if (initial) await this.#sendState(initial);
    const from = initial?.resourceVersion ?? (await this.#from(options.resourceVersion));
    if (stream.open) {
      const { kind, info, deps } = context;
      this.#seen = from;
      const namespace = info.namespace === '' ? {} : { namespace: info.namespace };
      this.#watch = deps.store.watch(
        { kinds: [kind.id], ...namespace, from },
        { onEvent: (event) => this.#send(event), onError: (error) => this.#fail(error) },
      );
    }
    await stream.ended;
    this.#watch?.close();
    cancelTimers();
  }

  async #from(resourceVersion: string): Promise<string> {
    if (Number(resourceVersion) > 0) return resourceVersion;
    return this.#parts.context.deps.store.currentVersion();
  }

  async #sendState({ items, resourceVersion }: StoreList): Promise<void> {
    const { presenter, options, filter, stream } = this.#parts;
    const meant = filter ? items.filter(filter) : items;
    await stream.writeAll(meant, (object) => presenter.eventLine('ADDED', object, this.#line()));
    if (options.allowWatchBookmarks) {
      stream.write(presenter.bookmarkLine(resourceVersion, { initialEventsEnd: true }));
    }
  }

  /** An object that begins to match is ADDED to the client, one that stops to match is DELETED. */
  #send(event: StoreEvent): void {
    const { presenter, filter, stream } = this.#parts;
    const { type, object, previous, resourceVersion } = event;
    this.#seen = resourceVersion;
    if (!stream.open) {
      this.#watch?.close();
      return;
    }
    const matched = previous !== undefined && (filter?.(previous) ?? true);
    const matches = type !== 'DELETED' && (filter?.(object) ?? true);
    if (matches) {
      stream.write(presenter.eventLine(matched ? 'MODIFIED' : 'ADDED', object, this.#line()));
    } else if (matched) {
      const last = type === 'DELETED' ? object : lastRevision(previous, resourceVersion);
      stream.write(presenter.eventLine('DELETED', last, this.#line()));
    }
  }

  #line(): { readonly first: boolean } {
    const { first } = { first: this.#first };
    this.#first = false;
    return { first };
  }

  /** The watch cannot go on: the client hears why, as an event, since the headers are long gone. */
  #fail(error: unknown): void {
    const { options, stream, context } = this.#parts;
    const failure = storeFailure(error);
    const { body } = expired(
      `too old resource version: ${options.resourceVersion} (${this.#seen})`,
    );
    context.deps.log.debug('a watch ended', { error: failure });
    stream.write(`${JSON.stringify({ type: 'ERROR', object: body })}\n`);
    stream.end();
  }

  /** The end of the watch, and the bookmarks until then. */
  #startTimers(): () => void {
    const { context, presenter, options, stream } = this.#parts;
    const { clock, random } = context.deps;
    const spread = TIMEOUT_SECONDS.max - TIMEOUT_SECONDS.min;
    const seconds = options.timeoutSeconds || TIMEOUT_SECONDS.min + random.fraction() * spread;
    const timers = [clock.after(seconds * 1000, () => stream.end())];
    const cancel = (): void => {
      for (const timer of timers) timer.cancel();
    };
    if (!options.allowWatchBookmarks) return cancel;
    const bookmark = (): void => {
      if (this.#watch)
        stream.write(presenter.bookmarkLine(this.#seen, { initialEventsEnd: false }));
    };
    const repeat = (): void => {
      void bookmark();
      timers[1] = clock.after(BOOKMARK_EVERY_MS, repeat);
    };
    timers[1] = clock.after(BOOKMARK_EVERY_MS, repeat);
    timers[2] = clock.after(Math.max(0, seconds * 1000 - LAST_BOOKMARK_MS), () => void bookmark());
    return cancel;
  }
}
