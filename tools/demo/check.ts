import type { DemoWorld } from './world.ts';

/** One thing that the demo proves by real traffic. */
export interface DemoCheck {
  /** Stable name, for `--json`. */
  readonly name: string;
  /** What it shows, as the printed line says it. */
  readonly title: string;
  /**
   * Returns what was seen. @throws Error when it does not hold; the message says what was seen
   * instead
   */
  run(world: DemoWorld): Promise<string>;
}

/** How a check went. */
export interface CheckResult {
  readonly name: string;
  readonly title: string;
  readonly ok: boolean;
  readonly detail: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** Fails a check with what was seen. */
export function expect(holds: boolean, seen: string): asserts holds {
  if (!holds) throw new Error(seen);
}
