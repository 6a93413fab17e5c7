import type { XdsResource } from '#xds/resource.ts';
import type { ResourceMap } from '#xds/serve/resource-diff.ts';
import type { ResourceType } from '#xds/serve/resource-types.ts';

/** A resource that a proxy did not take. */
export interface Rejection {
  readonly name: string;
  readonly version: string;
  /** Envoy's words. */
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What a response that was rejected comes to. */
export interface Verdict {
  /** Resources found to be at fault now. */
  readonly culprits: readonly XdsResource[];
}

/**
 * What one proxy rejected of one type, and what to send again because of it. Envoy rejects a
 * response as a whole and names the resource at fault only sometimes, so a response with several is
 * sent again in parts until those at fault are alone: a bad resource must not keep good ones away.
 */
export class Rejections {
  readonly #type: ResourceType;
  readonly #rejected = new Map<string, Rejection>();
  /** Groups of resources to be sent again, each in a response of its own. */
  #retries: (readonly XdsResource[])[] = [];

  constructor(type: ResourceType) {
    this.#type = type;
  }

  /** Those that stand, in the order in which they were found. */
  get all(): readonly Rejection[] {
    return [...this.#rejected.values()];
  }

  /** Whether something is to be sent again of which nobody knows yet whether it is at fault. */
  get isSearching(): boolean {
    return this.#retries.some((group) => group.some(({ name }) => !this.#rejected.has(name)));
  }

  get(name: string): Rejection | undefined {
    return this.#rejected.get(name);
  }

  /**
   * A response was taken. Whatever stands rejected may have been so because of another's fault, so
   * it gets one more chance. This ends: a chance that is taken leaves fewer rejections.
   */
  accepted(resources: readonly XdsResource[], current: ResourceMap): void {
    for (const { name } of resources) this.#rejected.delete(name);
    if (!this.#type.retries || this.#rejected.size === 0) return;
    const group: XdsResource[] = [];
    for (const { name, version } of this.#rejected.values()) {
      const resource = current.get(name);
      if (resource?.version === version && !this.#waits(resource)) group.push(resource);
    }
    if (group.length > 0) this.#retries.push(group);
  }

  /** A response was rejected. */
  rejected(resources: readonly XdsResource[], message: string, at: number): Verdict {
    const named = resources.filter(({ name }) => mentions(message, name));
    const found = resources.length === 1 ? resources : named;
    const allFound = found.length === resources.length && resources.length > 1;
    if (found.length === 0 || (allFound && !this.#type.appliesPartly)) {
      this.#splitUp(resources);
      return { culprits: [] };
    }
    for (const { name, version } of found) this.#rejected.set(name, { name, version, message, at });
    const rest = resources.filter((resource) => !found.includes(resource));
    if (rest.length > 0 && !this.#type.appliesPartly) this.#retries.push(rest);
    return { culprits: found };
  }

  /** Forgets what is no longer rejected because it is no longer there or another one by now. */
  prune(current: ResourceMap): void {
    for (const { name, version } of this.#rejected.values()) {
      if (current.get(name)?.version !== version) this.#rejected.delete(name);
    }
  }

  /** The next group to be sent again, of what `wanted` still says; undefined when none waits. */
  nextRetry(wanted: (resource: XdsResource) => boolean): readonly XdsResource[] | undefined {
    for (let group = this.#retries.shift(); group; group = this.#retries.shift()) {
      const left = group.filter(wanted);
      if (left.length > 0) return left;
    }
    return undefined;
  }

  #splitUp(resources: readonly XdsResource[]): void {
    const middle = Math.ceil(resources.length / 2);
    const halves = [resources.slice(0, middle), resources.slice(middle)];
    this.#retries.push(...halves.filter((half) => half.length > 0));
  }

  #waits(resource: XdsResource): boolean {
    return this.#retries.some((group) => group.includes(resource));
  }
}

/** Whether a message contains a name as a word of its own. */
function mentions(message: string, name: string): boolean {
  if (name === '') return false;
  for (let at = message.indexOf(name); at >= 0; at = message.indexOf(name, at + 1)) {
    const before = message.charAt(at - 1);
    const after = message.slice(at + name.length, at + name.length + 2);
    // A full stop or colon ends a sentence or a list only when a space follows.
    if (!/[\w.|:~/-]/.test(before) && !/^(\w|[|~/-]|[.:]\S)/.test(after)) return true;
  }
  return false;
}
