import type { ResourceChange } from '#xds/serve/resource-diff.ts';
import type { Holding } from '#xds/serve/subscription.ts';

/** A response that was sent. */
export interface Push {
  readonly nonce: string;
  readonly change: ResourceChange;
  /** By the monotonic clock, in milliseconds. */
  readonly sentMs: number;
  /** What the proxy had before; undefined when that is a guess. */
  readonly before: Holding | undefined;
  /** Whether it undoes what a rejected one left behind, rather than bringing what is wanted. */
  readonly repair: boolean;
}

/** Responses to remember. Envoy holds back answers for clusters, so there can be more than one. */
const UNANSWERED_MAX = 64;

const NONE: readonly Push[] = [];

/** The responses of one type on one stream that wait for an answer. */
export class PushLedger {
  #newest: Push | undefined;
  /** Oldest first; most of the time there are none. */
  #older = NONE;

  get count(): number {
    return this.#newest ? this.#older.length + 1 : 0;
  }

  get oldest(): Push | undefined {
    return this.#older[0] ?? this.#newest;
  }

  /** Oldest first. */
  get all(): readonly Push[] {
    return this.#newest ? [...this.#older, this.#newest] : NONE;
  }

  record(push: Push): void {
    if (this.#newest) this.#older = [...this.#older, this.#newest].slice(1 - UNANSWERED_MAX);
    this.#newest = push;
  }

  /** The response that a nonce answers, which then no longer waits; nor do older ones. */
  answered(nonce: string): Push | undefined {
    const all = this.all;
    const index = all.findIndex((push) => push.nonce === nonce);
    if (index < 0) return undefined;
    this.#older = index + 1 < all.length ? all.slice(index + 1, -1) : NONE;
    if (index + 1 === all.length) this.#newest = undefined;
    return all[index];
  }

  /** Milliseconds for which the newest response still has to be waited for; 0 when none. */
  waitMs(nowMs: number, answerMsMax: number): number {
    const newest = this.#newest;
    return newest ? Math.max(0, newest.sentMs + answerMsMax - nowMs) : 0;
  }
}
