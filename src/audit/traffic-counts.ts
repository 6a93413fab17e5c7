import type { TrafficRow } from '#admin/audit.ts';
import { jsonLine } from '#admin/json-line.ts';
import type { ToldCall } from '#audit/call-entry.ts';
import { pathPattern } from '#audit/path-pattern.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';

/** A line of the files of traffic; counts of lines that are alike add up. */
export interface TrafficLine {
  readonly row?: TrafficRow;
  /** Calls of the hour that are in no row. */
  readonly notToldApart?: number;
  readonly hour: string;
}

export interface TrafficCountsDeps {
  readonly clock: Clock;
  /** Keeps a line of JSON. */
  readonly keep: (line: string) => void;
}

const FLUSH_MS = 60_000;
const HOUR_MS = 3_600_000;

interface Counted {
  readonly row: Omit<TrafficRow, 'seen'>;
  seen: number;
}

/**
 * Counts the calls of a sample by who called what. Memory and what is kept are bounded: calls for
 * which there is no room are counted as such, for each workload apart.
 */
export class TrafficCounts implements Component {
  readonly name = 'traffic';
  readonly #percent: number;
  readonly #deps: TrafficCountsDeps;
  readonly #counted = new Map<string, Counted>();
  readonly #rowsOf = new Map<string, number>();
  #hour = '';
  #notToldApart = 0;
  #timer: Timer | undefined;

  /** @param percent of so many of a hundred calls it is told */
  constructor(percent: number, deps: TrafficCountsDeps) {
    this.#percent = percent;
    this.#deps = deps;
  }

  async start(): Promise<void> {
    this.#arm();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.flush();
  }

  /** Counts a call that was allowed; denied ones have records of their own. */
  take(call: ToldCall): void {
    if (call.decision === 'denied') return;
    const now = this.#deps.clock.now();
    const hour = new Date(now - (now % HOUR_MS)).toISOString();
    if (hour !== this.#hour) {
      this.flush();
      this.#hour = hour;
      this.#rowsOf.clear();
    }
    const row = this.#rowOf(call, hour);
    const key = keyOfRow(row);
    const known = this.#counted.get(key);
    if (known) known.seen += 1;
    else if (this.#hasRoom(call.workload.identity)) this.#counted.set(key, { row, seen: 1 });
    else this.#notToldApart += 1;
  }

  /** Counts calls that are known by their number alone. */
  takeUnknown(count: number): void {
    this.#notToldApart += count;
  }

  /** Writes what was counted since the last time. */
  flush(): void {
    const { keep } = this.#deps;
    for (const { row, seen } of this.#counted.values())
      keep(jsonLine({ hour: row.hour, row: { ...row, seen } } satisfies TrafficLine));
    this.#counted.clear();
    if (this.#notToldApart > 0)
      keep(jsonLine({ hour: this.#hour, notToldApart: this.#notToldApart } satisfies TrafficLine));
    this.#notToldApart = 0;
  }

  #arm(): void {
    this.#timer = this.#deps.clock.after(FLUSH_MS, () => {
      this.flush();
      this.#arm();
    });
  }

  /** Rows of an hour are written again each minute, so room is counted in those. */
  #hasRoom(identity: string): boolean {
    const rows = this.#rowsOf.get(identity) ?? 0;
    const isFull = this.#counted.size >= LIMITS.trafficRowsMax;
    if (isFull || rows >= LIMITS.trafficRowsPerHourMax) return false;
    this.#rowsOf.set(identity, rows + 1);
    return true;
  }

  #rowOf(call: ToldCall, hour: string): Omit<TrafficRow, 'seen'> {
    const { workload, protocol, port, caller, callerAddress, endUser, method, host, path } = call;
    const pattern = path === undefined ? undefined : pathPattern(path);
    const common = { hour, workload, protocol, port, caller, callerAddress, endUser };
    return { ...common, method, host, pattern, path, percent: this.#percent };
  }
}

/** Rows with the same key are about the same calls. */
export function keyOfRow(row: Omit<TrafficRow, 'seen'>): string {
  const { workload, protocol, port, caller, endUser, method, host, pattern, percent } = row;
  const { namespace, name, identity } = workload;
  const called = [namespace, name, identity, protocol, port];
  const user = endUser && [endUser.issuer, endUser.subject];
  return JSON.stringify([
    called,
    caller ?? row.callerAddress,
    user,
    method,
    host,
    pattern,
    percent,
  ]);
}
