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

/** The responses of one type on one stream that wait for an answer. */
export class PushLedger {
  /** Oldest first. */
  readonly #unanswered: Push[] = [];

  get unanswered(): readonly Push[] {
    return this.#unanswered;
  }

  record(push: Push): void {
    this.#unanswered.push(push);
    if (this.#unanswered.length > UNANSWERED_MAX) this.#unanswered.shift();
  }

  /** The response that a nonce answers, which then no longer waits; nor do older ones. */
  answered(nonce: string): Push | undefined {
    const index = this.#unanswered.findIndex((push) => push.nonce === nonce);
    return this.#unanswered.splice(0, index + 1).at(-1);
  }

  /** Milliseconds for which the newest response still has to be waited for; 0 when none. */
  waitMs(nowMs: number, answerMsMax: number): number {
    const newest = this.#unanswered.at(-1);
    return newest ? Math.max(0, newest.sentMs + answerMsMax - nowMs) : 0;
  }
}
