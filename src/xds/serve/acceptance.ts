import type { Push } from '#xds/serve/push-ledger.ts';
import type { ResourceMap } from '#xds/serve/resource-diff.ts';

/** A resource that a proxy does not take, whatever was made of it since. */
export interface Refusal {
  readonly name: string;
  /** Envoy's words. */
  readonly message: string;
  /**
   * The version of the source since which every form of it was refused: the proxy goes on with the
   * form before. 0 when there is none.
   */
  readonly since: number;
}

/** How far one proxy is with one type of resources. */
export interface TypeProgress {
  /** The newest version of the source of which it took all but `refused`; -1 = of none yet. */
  readonly version: number;
  readonly refused: readonly Refusal[];
  /** Whether a response waits for its answer. */
  readonly isWaiting: boolean;
}

/**
 * Which version of the source one proxy took, of one type. Other than what is synced now, this says
 * of a change in the past whether it is in force, also while further changes are on their way.
 */
export class Acceptance {
  #version = -1;
  /** Whether the proxy ever took all of a version on this stream. */
  #hasBase = false;
  readonly #refused = new Map<string, Refusal>();

  get version(): number {
    return this.#version;
  }

  get refused(): readonly Refusal[] {
    return [...this.#refused.values()];
  }

  /** The proxy has all of a version, or at least of an older one than it was known to have. */
  reached(version: number): void {
    this.#version = Math.max(this.#version, version);
    this.#hasBase = true;
  }

  /** The proxy asked for more, which it does not have yet. */
  reopened(): void {
    this.#version = -1;
  }

  /** @param isWhole false when some of that version is sent apart, or again, and not answered */
  accepted({ change, version }: Push, isWhole: boolean): void {
    if (this.#refused.size > 0) {
      for (const { name } of change.changed) this.#refused.delete(name);
    }
    if (isWhole) this.reached(version);
  }

  refuses(names: Iterable<string>, { version }: Push, message: string): void {
    for (const name of names) {
      const since = this.#refused.get(name)?.since ?? (this.#hasBase ? version : 0);
      this.#refused.set(name, { name, message, since });
    }
  }

  /** Forgets what is no longer wanted. */
  prune(current: ResourceMap): void {
    for (const name of this.#refused.keys()) {
      if (!current.has(name)) this.#refused.delete(name);
    }
  }
}
