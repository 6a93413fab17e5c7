import type { Timer } from '#base/clock.ts';
import type { KeySource } from '#model/key-sets.ts';

/** What is known of the keys of one source, for whoever looks after the mesh. */
export interface KeyStatus {
  readonly source: KeySource;
  /** Keys that proxies have; 0 = none, and every token is refused. */
  readonly count: number;
  /** When they were fetched, in milliseconds since 1970; undefined = never. */
  readonly fetchedAt: number | undefined;
  /** When they will be fetched again; undefined while that is going on. */
  readonly nextAt: number | undefined;
  /** Why the last attempt failed; undefined when it did not. */
  readonly error: string | undefined;
}

/** The same while it is looked after. */
export interface KeyState {
  readonly source: KeySource;
  text: string | undefined;
  count: number;
  fetchedAt: number | undefined;
  nextAt: number | undefined;
  error: string | undefined;
  /** Attempts that failed since the last one that did not. */
  failures: number;
  /** Whether an attempt has ended since the source is wanted. */
  wasTried: boolean;
  isWanted: boolean;
  isBusy: boolean;
  timer: Timer | undefined;
}

/** The state of a source that nobody asked about before. */
export function newKeyState(source: KeySource): KeyState {
  return {
    source,
    text: undefined,
    count: 0,
    fetchedAt: undefined,
    nextAt: undefined,
    error: undefined,
    failures: 0,
    wasTried: false,
    isWanted: false,
    isBusy: false,
    timer: undefined,
  };
}
