import type { RecordedWorkload } from '#admin/audit.ts';
import type { ToldCall } from '#audit/call-entry.ts';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';

/** Calls that were too many. */
export interface LeftOut {
  readonly workload: RecordedWorkload;
  readonly count: number;
  readonly isSample: boolean;
}

/** What one identity told in a second. */
interface Second {
  read: number;
  leftOut: number;
  /** Recorded calls by caller. */
  readonly callers: Map<string, number>;
}

const SECOND_MS = 1000;

/**
 * How many calls are taken of one identity in a second, over all its streams, and of those how many
 * of one caller: nobody pushes others out of the records by calling often.
 */
export class CallRates {
  readonly #clock: Clock;
  readonly #onLeftOut: (left: LeftOut) => void;
  readonly #seconds = new Map<string, Second>();

  constructor(clock: Clock, onLeftOut: (left: LeftOut) => void) {
    this.#clock = clock;
    this.#onLeftOut = onLeftOut;
  }

  /** Whether one more call of a stream is looked at; else it is counted. */
  mayRead(workload: RecordedWorkload, isSample: boolean): boolean {
    const second = this.#secondOf(workload, isSample);
    const isWithin = second.read < LIMITS.auditCallsPerSecondMax;
    if (isWithin) second.read += 1;
    else second.leftOut += 1;
    return isWithin;
  }

  /** Whether a call that was looked at is recorded; else it is counted. */
  mayRecord({ workload, caller, callerAddress }: ToldCall): boolean {
    const second = this.#secondOf(workload, false);
    const key = caller ?? callerAddress ?? '';
    const count = second.callers.get(key) ?? 0;
    const isWithin = count < LIMITS.auditCallsPerCallerMax;
    if (isWithin) second.callers.set(key, count + 1);
    else second.leftOut += 1;
    return isWithin;
  }

  #secondOf(workload: RecordedWorkload, isSample: boolean): Second {
    const key = `${isSample} ${workload.identity}`;
    const known = this.#seconds.get(key);
    if (known) return known;
    const second: Second = { read: 0, leftOut: 0, callers: new Map() };
    this.#seconds.set(key, second);
    this.#clock.after(SECOND_MS, () => {
      this.#seconds.delete(key);
      if (second.leftOut > 0) this.#onLeftOut({ workload, count: second.leftOut, isSample });
    });
    return second;
  }
}
