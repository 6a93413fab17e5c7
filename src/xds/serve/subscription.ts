import type { XdsResource } from '#xds/resource.ts';
import {
  NO_CHANGE,
  NO_RESOURCES,
  type ResourceChange,
  type ResourceDiffs,
  type ResourceMap,
} from '#xds/serve/resource-diff.ts';

/** The name that stands for everything (xDS protocol, "wildcard"). */
export const WILDCARD = '*';

/** What most subscriptions have; never written to. */
const NO_EXCEPTIONS = new Map<string, string | null>();

/** What a proxy had at some moment, of the names that it asked for. Immutable. */
export class Holding {
  readonly #baseline: ResourceMap;
  readonly #exceptions: ReadonlyMap<string, string | null>;

  constructor(baseline: ResourceMap, exceptions: ReadonlyMap<string, string | null>) {
    this.#baseline = baseline;
    this.#exceptions = exceptions;
  }

  /** The resource of a name, when it is known. */
  resource(name: string): XdsResource | undefined {
    return this.#exceptions.has(name) ? undefined : this.#baseline.get(name);
  }

  /** Whether the proxy surely had nothing under a name. */
  lacks(name: string): boolean {
    const exception = this.#exceptions.get(name);
    return exception === undefined ? !this.#baseline.has(name) : exception === null;
  }
}

/** How a type is subscribed to. */
export interface SubscriptionOptions {
  /** Shared by all streams. */
  readonly diffs: ResourceDiffs;
  /**
   * Whether a proxy is told of the end of a resource that it has and still asks for. False for
   * types where that would break what refers to it, or is ignored.
   */
  readonly withdraws: boolean;
}

/**
 * What one proxy asked for of one type, and what of it the proxy has. What it has is that of a
 * resource map shared with other proxies, except for a few names: so the cost of a change does not
 * grow with what did not change.
 */
export class Subscription {
  readonly #diffs: ResourceDiffs;
  readonly #withdraws: boolean;
  readonly #names = new Set<string>();
  #wildcard = false;
  /** The proxy has of the names that it subscribed to what is in here … */
  #baseline: ResourceMap = NO_RESOURCES;
  /** … except that it has these versions; null: nothing, and must be told something. */
  #exceptions = NO_EXCEPTIONS;

  constructor({ diffs, withdraws }: SubscriptionOptions) {
    this.#diffs = diffs;
    this.#withdraws = withdraws;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  /** How many names are asked for, the wildcard not counted. */
  get namesCount(): number {
    return this.#names.size;
  }

  includes(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  /** Takes over what the proxy has from an earlier stream (`initial_resource_versions`). */
  resume(versions: Readonly<Record<string, string>>): void {
    for (const [name, version] of Object.entries(versions)) this.#except(name, version);
  }

  /**
   * Asks for names, or for everything by `*`. A name that is asked for again is sent again, unless
   * `resumed` says that the proxy has it from an earlier stream.
   */
  subscribe(names: Iterable<string>, { resumed }: { readonly resumed: boolean }): void {
    for (const name of names) {
      if (name === WILDCARD) {
        this.#subscribeToAll();
      } else {
        this.#names.add(name);
        if (!resumed || !this.#exceptions.has(name)) this.#except(name, null);
      }
    }
    if (resumed) this.#forgetRest();
  }

  /**
   * Takes names, or the wildcard, back. What the wildcard still covers is sent again, or its end
   * told, so that the proxy knows where it stands (xDS protocol, "unsubscribing from resources").
   */
  unsubscribe(names: Iterable<string>): void {
    for (const name of names) {
      if (name === WILDCARD) {
        this.#wildcard = false;
        this.#forgetRest();
      } else if (this.#names.delete(name)) {
        if (this.#wildcard) this.#except(name, null);
        else this.#exceptions.delete(name);
      }
    }
  }

  /** Makes the next change contain this name, if it is subscribed to. */
  resend(name: string): void {
    if (this.includes(name)) this.#except(name, null);
  }

  /** What the proxy has now, to be asked later. */
  holding(): Holding {
    // `moveTo`, which comes next, puts others in place of these.
    return new Holding(this.#baseline, this.#exceptions);
  }

  /** What the proxy must be told to have what is in `next`. Changes nothing here. */
  changeTo(next: ResourceMap): ResourceChange {
    const diff = this.#diffs.between(this.#baseline, next);
    const plain = this.#exceptions.size === 0 && (diff === NO_CHANGE || this.#takesWhole(diff));
    if (plain) return diff;
    const changed: XdsResource[] = [];
    const removed: string[] = [];
    let adds = false;
    const look = (name: string): void => {
      if (!this.includes(name)) return;
      const has = this.#versionOf(name);
      const wanted = next.get(name);
      if (wanted) {
        if (has === wanted.version) return;
        changed.push(wanted);
        adds ||= typeof has !== 'string';
      } else if (has === null || (has !== undefined && this.#withdraws)) {
        removed.push(name);
      }
    };
    for (const { name } of diff.changed) look(name);
    for (const name of diff.removed) look(name);
    for (const name of this.#exceptions.keys()) {
      // Those that differ between the maps were looked at.
      if (this.#baseline.get(name)?.version === next.get(name)?.version) look(name);
    }
    if (changed.length + removed.length === 0) return NO_CHANGE;
    return { changed, adds, removed };
  }

  /**
   * Notes that the proxy was told what `changeTo(next)` said.
   * @param later names of this change whose end was not told yet
   */
  moveTo(next: ResourceMap, later: readonly string[] = []): void {
    const left =
      later.length === 0
        ? NO_EXCEPTIONS
        : new Map(later.map((name) => [name, this.#versionOf(name) ?? null]));
    this.#baseline = next;
    this.#exceptions = left;
  }

  #takesWhole(diff: ResourceChange): boolean {
    return this.#wildcard && (this.#withdraws || diff.removed.length === 0);
  }

  /** The version that the proxy has; null: nothing, to be told; undefined: nothing, as it knows. */
  #versionOf(name: string): string | null | undefined {
    const exception = this.#exceptions.get(name);
    if (exception !== undefined) return exception;
    return this.#baseline.get(name)?.version;
  }

  #except(name: string, version: string | null): void {
    if (this.#exceptions === NO_EXCEPTIONS) this.#exceptions = new Map();
    this.#exceptions.set(name, version);
  }

  /** A proxy keeps nothing that it does not ask for. */
  #forgetRest(): void {
    for (const name of this.#exceptions.keys()) {
      if (!this.includes(name)) this.#exceptions.delete(name);
    }
  }

  #subscribeToAll(): void {
    if (this.#wildcard) return;
    // Of the names that were not asked for one by one, the proxy has nothing.
    const had = [...this.#names].map((name) => [name, this.#versionOf(name)] as const);
    this.#wildcard = true;
    this.#baseline = NO_RESOURCES;
    for (const [name, version] of had) {
      if (version !== undefined) this.#except(name, version);
    }
  }
}
