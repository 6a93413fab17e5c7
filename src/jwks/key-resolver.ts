import { readKeySet } from '#api/key-set.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import { UnderWay } from '#base/under-way.ts';
import type { FetchedKeys } from '#jwks/fetch-keys.ts';
import type { KeptKeys, KeyFolder } from '#jwks/key-folder.ts';
import { type KeyState, type KeyStatus, newKeyState } from '#jwks/key-state.ts';
import { declareJwksMetrics } from '#jwks/metrics.ts';
import { KeySets, type KeySource } from '#model/key-sets.ts';

export interface KeyResolverOptions {
  /** How old keys become before they are fetched again. */
  readonly refreshMs: number;
}

export interface KeyResolverDeps {
  readonly fetch: (source: KeySource) => Promise<FetchedKeys>;
  readonly folder: Pick<KeyFolder, 'load' | 'save' | 'forget'>;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Called when there are other keys than before. */
  readonly onChange: (keySets: KeySets) => void;
}

/** Between attempts that fail, doubling: an issuer that comes back is heard of within seconds. */
const RETRY_MS = { min: 1000, max: 30_000 } as const;
/** Issuers that are asked at one time. */
const FETCHES_MAX = 16;

/**
 * Keeps the keys of issuers: fetches them when they are wanted, again before they are old, and
 * after a failure within seconds. What was good once is kept until something better comes.
 */
export class KeyResolver implements Component {
  readonly name = 'jwks';
  readonly #options: KeyResolverOptions;
  readonly #deps: KeyResolverDeps;
  readonly #metrics: ReturnType<typeof declareJwksMetrics>;
  readonly #states = new Map<KeySource, KeyState>();
  readonly #waiting: KeyState[] = [];
  #busy = 0;
  #tried: (() => void)[] = [];
  #isRunning = false;
  readonly #keeping = new UnderWay();

  constructor(options: KeyResolverOptions, deps: KeyResolverDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#metrics = declareJwksMetrics(deps.metrics, () => this.statuses());
  }

  /** Takes what was kept on disk. */
  async start(): Promise<void> {
    for (const { source, text, fetchedAt } of await this.#deps.folder.load()) {
      const read = readKeySet(text, { sharedSecrets: false });
      if (!read.ok) continue;
      const state = this.#stateOf(source);
      Object.assign(state, { text, fetchedAt, count: read.count });
    }
    this.#isRunning = true;
    this.#publish();
  }

  /** Ends when what is to be kept is on disk. */
  async close(): Promise<void> {
    this.#isRunning = false;
    for (const { timer } of this.#states.values()) timer?.cancel();
    this.#settle();
    await this.#keeping.over();
  }

  /** From now on these sources are looked after, and no others. */
  want(sources: readonly KeySource[]): void {
    const wanted = this.#withinLimit(sources);
    for (const state of this.#states.values()) {
      if (!wanted.has(state.source)) this.#leave(state);
    }
    for (const source of wanted) {
      const state = this.#stateOf(source);
      if (state.isWanted) continue;
      state.isWanted = true;
      this.#fetchSoon(state);
    }
    this.#prune();
  }

  /** Fetches everything that is wanted now. */
  refresh(): Promise<void> {
    for (const state of this.#states.values()) {
      if (!state.isWanted) continue;
      state.wasTried = false;
      this.#fetchSoon(state);
    }
    return this.tried();
  }

  /** Resolves when every source that is wanted has been tried at least once. */
  tried(): Promise<void> {
    if (!this.#isRunning || this.#allTried()) return Promise.resolve();
    return new Promise((resolve) => this.#tried.push(resolve));
  }

  /** Sources that are wanted and were neither tried nor have keys. */
  get isWaiting(): boolean {
    return [...this.#states.values()].some(
      ({ isWanted, wasTried, text }) => isWanted && !wasTried && text === undefined,
    );
  }

  /** What is known of the sources that are wanted, by source. */
  statuses(): readonly KeyStatus[] {
    return [...this.#states.values()]
      .filter(({ isWanted }) => isWanted)
      .sort((a, b) => (a.source < b.source ? -1 : 1));
  }

  #stateOf(source: KeySource): KeyState {
    const known = this.#states.get(source);
    if (known !== undefined) return known;
    const state = newKeyState(source);
    this.#states.set(source, state);
    return state;
  }

  /** When there are too many, those that are known already come first. */
  #withinLimit(sources: readonly KeySource[]): ReadonlySet<KeySource> {
    const { jwksSourcesMax } = LIMITS;
    if (sources.length <= jwksSourcesMax) return new Set(sources);
    const isKnown = (source: KeySource) => this.#states.get(source)?.isWanted === true;
    const known = sources.filter(isKnown);
    const others = sources.filter((source) => !isKnown(source));
    this.#deps.log.error('too many issuers of tokens: the keys of some are not fetched', {
      sources: sources.length,
      limit: jwksSourcesMax,
    });
    return new Set([...known, ...others].slice(0, jwksSourcesMax));
  }

  #leave(state: KeyState): void {
    state.timer?.cancel();
    Object.assign(state, { isWanted: false, wasTried: false, timer: undefined, error: undefined });
  }

  /** Keys that nobody wants are kept, for a rule that comes back, while there is room. */
  #prune(): void {
    for (const { source, isWanted, isBusy } of this.#states.values()) {
      if (this.#states.size <= LIMITS.jwksSourcesMax) return;
      if (isWanted || isBusy) continue;
      this.#states.delete(source);
      void this.#deps.folder.forget(source);
    }
  }

  #fetchSoon(state: KeyState): void {
    state.timer?.cancel();
    state.timer = undefined;
    state.nextAt = undefined;
    if (state.isBusy || this.#waiting.includes(state)) return;
    this.#waiting.push(state);
    this.#next();
  }

  #next(): void {
    while (this.#isRunning && this.#busy < FETCHES_MAX) {
      const state = this.#waiting.shift();
      if (state === undefined) return;
      if (!state.isWanted) continue;
      this.#busy += 1;
      state.isBusy = true;
      void this.#fetch(state).finally(() => {
        this.#busy -= 1;
        state.isBusy = false;
        if (state.isWanted) this.#planNext(state);
        this.#settle();
        this.#next();
      });
    }
  }

  async #fetch(state: KeyState): Promise<void> {
    const { fetch, clock, log } = this.#deps;
    const { source } = state;
    try {
      const { text, count, warnings } = await fetch(source);
      this.#metrics.succeeded();
      const isOther = text !== state.text;
      Object.assign(state, { text, count, fetchedAt: clock.now(), error: undefined, failures: 0 });
      if (isOther) {
        log.info('the keys of an issuer are there', { at: shown(source), keys: count, warnings });
        this.#publish();
        this.#keep({ source, text, fetchedAt: clock.now() });
      }
    } catch (error) {
      this.#metrics.failed();
      state.failures += 1;
      state.error = describeError(error);
      log.warn('the keys of an issuer cannot be had', {
        at: shown(source),
        keys: state.count,
        error,
      });
    }
  }

  #keep(keys: KeptKeys): void {
    const { folder, log } = this.#deps;
    const keeping = folder.save(keys).catch((error: unknown) => {
      log.error('the keys of an issuer are not kept over a restart', { error });
    });
    this.#keeping.add(keeping);
  }

  #planNext(state: KeyState): void {
    state.wasTried = true;
    const { clock, random } = this.#deps;
    const ceiling =
      state.failures === 0
        ? this.#options.refreshMs
        : Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** Math.min(state.failures - 1, 10));
    const delayMs = ceiling * (0.8 + random.fraction() / 5);
    state.nextAt = clock.now() + delayMs;
    if (this.#isRunning) state.timer = clock.after(delayMs, () => this.#fetchSoon(state));
  }

  #allTried(): boolean {
    return [...this.#states.values()].every(({ isWanted, wasTried }) => !isWanted || wasTried);
  }

  #settle(): void {
    if (this.#isRunning && !this.#allTried()) return;
    const waiting = this.#tried;
    this.#tried = [];
    for (const resolve of waiting) resolve();
  }

  #publish(): void {
    const texts = [...this.#states.values()].flatMap(({ source, text }) =>
      text === undefined ? [] : [[source, text] as const],
    );
    this.#deps.onChange(new KeySets(new Map(texts)));
  }
}

/** A source for the log: without its query, which may hold a secret. */
function shown(source: KeySource): string {
  return source.replace(/[?#].*$/s, '');
}
