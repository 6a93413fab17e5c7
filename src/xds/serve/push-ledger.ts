import type { ResourceChange } from '#xds/serve/resource-diff.ts';
import type { Holding } from '#xds/serve/subscription.ts';

/** A response that was sent. */
export interface Push {
  readonly nonce: string;
  readonly change: ResourceChange;
  /** The version of the source that it brings the proxy to. */
  readonly version: number;
  /** By the monotonic clock, in milliseconds. */
  readonly sentMs: number;
  /** What the proxy had before; undefined when that is a guess. */
  readonly before: Holding | undefined;
  /** Whether it undoes what a rejected one left behind, rather than bringing what is wanted. */
  readonly repair: boolean;
  /** Whether that takes more than this response: it repeats a part of one, or is on the way. */
  readonly isPart: boolean;
}

/** Responses to remember. Envoy holds back answers for clusters, so there can be more than one. */
const UNANSWERED_MAX = 64;

const NONE: readonly Push[] = [];

/** The responses of one type on one stream: the last one, and those that wait for an answer. */
export class PushLedger {
  #last: Push | undefined;
  #lastAnswered = true;
  /** Those before the last that are unanswered too, oldest first; most of the time none. */
  #older = NONE;

  /** The last response, answered or not. */
  get last(): Push | undefined {
    return this.#last;
  }

  /** How many wait for an answer. */
  get count(): number {
    return this.#lastAnswered ? 0 : this.#older.length + 1;
  }

  /** The one that has waited for longest. */
  get oldest(): Push | undefined {
    return this.#lastAnswered ? undefined : (this.#older[0] ?? this.#last);
  }

  /** Those that wait for an answer, oldest first. */
  get all(): readonly Push[] {
    return this.#last && !this.#lastAnswered ? [...this.#older, this.#last] : NONE;
  }

  record(push: Push): void {
    if (!this.#lastAnswered) this.#older = this.all.slice(1 - UNANSWERED_MAX);
    this.#last = push;
    this.#lastAnswered = false;
  }

  /** The response that a nonce answers, which then no longer waits; nor do older ones. */
  answered(nonce: string): Push | undefined {
    const all = this.all;
    const index = all.findIndex((push) => push.nonce === nonce);
    if (index < 0) return undefined;
    this.#lastAnswered = index + 1 === all.length;
    this.#older = this.#lastAnswered ? NONE : all.slice(index + 1, -1);
    return all[index];
  }

  /** Milliseconds for which the newest response still has to be waited for; 0 when none. */
  waitMs(nowMs: number, answerMsMax: number): number {
    if (this.#lastAnswered || !this.#last) return 0;
    return Math.max(0, this.#last.sentMs + answerMsMax - nowMs);
  }
}
