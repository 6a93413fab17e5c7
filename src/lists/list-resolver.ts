import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import { UnderWay } from '#base/under-way.ts';
import type { KeptList, ListFolder } from '#lists/list-folder.ts';
import { declareListMetrics } from '#lists/metrics.ts';
import { type FetchedList, FetchedLists, type ListSource, listKey } from '#model/fetched-lists.ts';

export interface ListResolverDeps {
  readonly fetch: (source: ListSource) => Promise<readonly string[]>;
  readonly folder: Pick<ListFolder, 'load' | 'save' | 'forget'>;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Called when something else is known of a list than before. */
  readonly onChange: (lists: FetchedLists) => void;
}

/** What is known of a list, for whoever looks after the mesh. */
export interface ListStatus extends FetchedList {
  readonly source: ListSource;
  /** When it was fetched, in milliseconds since 1970; undefined = never. */
  readonly fetchedAt: number | undefined;
}

/** The same while it is looked after. */
interface State {
  readonly source: ListSource;
  entries: readonly string[] | undefined;
  error: string | undefined;
  fetchedAt: number | undefined;
  /** When it was written to disk. */
  keptAt: number;
  /** Attempts that failed since the last one that did not. */
  failures: number;
  wasTried: boolean;
  /** The next attempt. */
  next: Timer | undefined;
  /** The moment from which it no longer counts. */
  end: Timer | undefined;
}

/** Between attempts that fail, doubling; never longer than between those that do not. */
const RETRY_MS = { min: 1000, max: 30_000 } as const;
/** How often a list that stays the same is written while it counts. */
const KEPT_PARTS = 4;
/** Providers that are asked at one time. */
const FETCHES_MAX = 8;

/**
 * Keeps lists of listcheckers: fetches them when they are wanted, and again and again while they
 * are. The last good one counts until its time is over; then there is none, and whoever asks for it
 * denies.
 */
export class ListResolver implements Component {
  readonly name = 'mixer-lists';
  readonly #deps: ListResolverDeps;
  readonly #metrics: ReturnType<typeof declareListMetrics>;
  readonly #states = new Map<string, State>();
  /** As they were kept over a restart, until they are wanted. */
  readonly #kept = new Map<string, KeptList>();
  readonly #waiting: State[] = [];
  #busy = 0;
  #tried: (() => void)[] = [];
  #isRunning = false;
  readonly #keeping = new UnderWay();

  constructor(deps: ListResolverDeps) {
    this.#deps = deps;
    this.#metrics = declareListMetrics(deps.metrics, () => this.statuses());
  }

  /** Takes what was kept on disk. */
  async start(): Promise<void> {
    const { folder, clock } = this.#deps;
    for (const list of await folder.load(clock.now())) this.#kept.set(listKey(list.source), list);
    this.#isRunning = true;
    this.#go();
  }

  /** Ends when what is to be kept is on disk. */
  async close(): Promise<void> {
    this.#isRunning = false;
    for (const state of this.#states.values()) stop(state);
    this.#settle();
    await this.#keeping.over();
  }

  /** From now on these lists are looked after, and no others. */
  want(sources: readonly ListSource[]): void {
    const wanted = new Map(sources.map((source) => [listKey(source), source]));
    const gone = [...this.#states].filter(([key]) => !wanted.has(key));
    for (const [key, state] of gone) {
      stop(state);
      this.#states.delete(key);
      this.#deps.folder.forget(state.source).catch((error: unknown) => {
        this.#deps.log.warn('a list that nobody wants is still kept', { error });
      });
    }
    let isNews = gone.length > 0;
    for (const [key, source] of wanted) {
      if (this.#states.has(key)) continue;
      if (this.#states.size >= LIMITS.mixerListsMax) {
        this.#deps.log.error('too many lists: some are not fetched', { lists: wanted.size });
        break;
      }
      const state = newState(source);
      this.#states.set(key, state);
      if (this.#recall(key, state)) isNews = true;
      this.#waiting.push(state);
    }
    this.#go();
    this.#settle();
    if (isNews) this.#publish();
  }

  /** Takes up a list where the last run left it. */
  #recall(key: string, state: State): boolean {
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    const restMs = kept ? kept.fetchedAt + state.source.ttlMs - this.#deps.clock.now() : 0;
    if (kept === undefined || restMs <= 0) return false;
    const { entries, fetchedAt } = kept;
    Object.assign(state, { entries, fetchedAt, wasTried: true });
    state.end = this.#deps.clock.after(restMs, () => this.#expire(state));
    return true;
  }

  /** Whether a list that is wanted was never tried. */
  get isWaiting(): boolean {
    return [...this.#states.values()].some(({ wasTried }) => !wasTried);
  }

  /** Resolves when every list that is wanted has been tried at least once. */
  tried(): Promise<void> {
    return new Promise((resolve) => {
      this.#tried.push(resolve);
      this.#settle();
    });
  }

  /** What is known of each list that is wanted. */
  statuses(): readonly ListStatus[] {
    return [...this.#states.values()];
  }

  #go(): void {
    while (this.#isRunning && this.#busy < FETCHES_MAX) {
      const state = this.#waiting.shift();
      if (state === undefined) return;
      if (!this.#isWanted(state)) continue;
      this.#busy += 1;
      void this.#fetch(state).finally(() => {
        this.#busy -= 1;
        this.#settle();
        this.#go();
      });
    }
  }

  async #fetch(state: State): Promise<void> {
    const { fetch, log, clock } = this.#deps;
    const { error, entries } = state;
    try {
      const found = await fetch(state.source);
      if (!this.#isWanted(state)) return;
      this.#metrics.succeeded();
      const isSame = isDeepStrictEqual(found, entries);
      Object.assign(state, { error: undefined, failures: 0, fetchedAt: clock.now() });
      if (!isSame) {
        state.entries = found;
        log.info('a list is there', { at: shown(state.source), entries: found.length });
      }
      this.#keep(state, isSame);
      state.end?.cancel();
      state.end = clock.after(state.source.ttlMs, () => this.#expire(state));
    } catch (cause) {
      if (!this.#isWanted(state)) return;
      this.#metrics.failed();
      Object.assign(state, { error: describeError(cause), failures: state.failures + 1 });
      log.warn('a list cannot be had', { at: shown(state.source), error: cause });
    }
    state.wasTried = true;
    this.#planNext(state);
    if (state.error !== error || state.entries !== entries) this.#publish();
  }

  /** Not every time: what is on disk may be a little older. */
  #keep(state: State, isSame: boolean): void {
    const { folder, log, clock } = this.#deps;
    const { source, entries = [] } = state;
    const fetchedAt = clock.now();
    if (isSame && fetchedAt - state.keptAt < source.ttlMs / KEPT_PARTS) return;
    state.keptAt = fetchedAt;
    const keeping = folder.save({ source, entries, fetchedAt }).catch((error: unknown) => {
      log.error('a list is not kept over a restart', { error });
    });
    this.#keeping.add(keeping);
  }

  #expire(state: State): void {
    state.entries = undefined;
    this.#deps.log.error('a list is too old to count', { at: shown(state.source) });
    this.#publish();
  }

  #planNext(state: State): void {
    const { clock, random } = this.#deps;
    const { failures, source } = state;
    const retryMs = Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** Math.min(failures - 1, 10));
    const ceiling = failures === 0 ? source.refreshMs : Math.min(retryMs, source.refreshMs);
    state.next = clock.after(ceiling * (0.8 + random.fraction() / 5), () => {
      this.#waiting.push(state);
      this.#go();
    });
  }

  #isWanted(state: State): boolean {
    return this.#isRunning && this.#states.get(listKey(state.source)) === state;
  }

  #settle(): void {
    if (this.#isRunning && this.isWaiting) return;
    const waiting = this.#tried;
    this.#tried = [];
    for (const resolve of waiting) resolve();
  }

  #publish(): void {
    const known = [...this.#states].flatMap(([key, { entries, error, wasTried }]) =>
      wasTried ? [[key, { entries, error }] as const] : [],
    );
    this.#deps.onChange(new FetchedLists(new Map(known)));
  }
}

function newState(source: ListSource): State {
  return {
    source,
    entries: undefined,
    error: undefined,
    fetchedAt: undefined,
    keptAt: Number.NEGATIVE_INFINITY,
    failures: 0,
    wasTried: false,
    next: undefined,
    end: undefined,
  };
}

function stop({ next, end }: State): void {
  next?.cancel();
  end?.cancel();
}

/** A URL for the log: without its query, which may hold a secret. */
function shown({ url }: ListSource): string {
  return url.replace(/[?#].*$/s, '');
}
