import type { ListsView } from '#admin/contract.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { AddressRules } from '#jwks/address-rules.ts';
import { ExtraRoots } from '#jwks/extra-roots.ts';
import { fetchList } from '#lists/fetch-list.ts';
import { ListFolder } from '#lists/list-folder.ts';
import { ListResolver } from '#lists/list-resolver.ts';
import { listKey } from '#model/fetched-lists.ts';
import { listHandlersOf } from '#policy/authz/mixer/mixer-objects.ts';

export interface MixerListsOptions {
  readonly settings: Settings;
  /** The folder in which lists are kept over a restart. */
  readonly folder: string;
}

export interface MixerListsDeps {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * A rule without its list denies what it covers. So proxies hear of a rule with a new list when the
 * list is there, but not later than this; and so seldom that it is no way to hold up others.
 */
const HOLD_MS = { max: 1000, between: 10_000 } as const;

/** The lists that listcheckers of a mesh take from elsewhere. */
export class MixerLists implements Component {
  readonly name = 'mixer-lists';
  readonly #deps: MixerListsDeps;
  readonly #resolver: ListResolver;
  /** The handlers that are looked at. */
  #handlers: readonly object[] = [];
  #held: Timer | undefined;
  #heldAt = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];
  #onNews: () => void = () => {};
  #listsChanged: () => void = () => {};
  #meshChanged: () => void = () => {};

  /** @throws BulwarkError SETTINGS_INVALID when a block of addresses is none */
  constructor({ settings, folder }: MixerListsOptions, deps: MixerListsDeps) {
    this.#deps = deps;
    // Users name these URLs as they name those of keys: the same rules hold for both.
    const rules = new AddressRules({
      blocked: settings.jwksBlockedAddresses,
      allowed: settings.jwksAllowedAddresses,
    });
    const roots = new ExtraRoots(settings.jwksRoots);
    const log = deps.log.child({ component: 'mixer-lists' });
    this.#resolver = new ListResolver({
      ...deps,
      log,
      folder: new ListFolder(folder, { log }),
      fetch: (source) => fetchList(source, { rules, roots }),
      onChange: (lists) => {
        deps.mesh.model.useFetchedLists(lists);
        this.#onNews();
        if (this.#held === undefined) this.#listsChanged();
      },
    });
  }

  start(): Promise<void> {
    return this.#resolver.start();
  }

  async close(): Promise<void> {
    this.#release();
    await this.#resolver.close();
  }

  /** `lists` is called when there are other lists, `mesh` when the mesh changed otherwise. */
  onChange(changed: { readonly lists: () => void; readonly mesh: () => void }): void {
    this.#listsChanged = changed.lists;
    this.#meshChanged = changed.mesh;
  }

  /** The state of every list, for administrators. */
  view(): ListsView {
    const handlers = listHandlersOf(this.#deps.mesh.model.snapshot());
    return {
      lists: this.#resolver.statuses().map(({ source, entries, error, fetchedAt }) => ({
        source,
        entries,
        error,
        fetchedAt: fetchedAt === undefined ? undefined : new Date(fetchedAt).toISOString(),
        usedBy: handlers
          .filter(([, other]) => listKey(other) === listKey(source))
          .map(([{ kind, metadata }]) => `${kind} ${metadata.namespace}/${metadata.name}`),
      })),
    };
  }

  /** `tell` is called when there is something new to say of a list. */
  onNews(tell: () => void): void {
    this.#onNews = tell;
  }

  /** Resolves when nothing is held back for the sake of lists. */
  async settled(): Promise<void> {
    if (this.#held !== undefined)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
  }

  /** To be called when the mesh changed: passes it on, with the lists that it needs. */
  meshChanged(): void {
    const mesh = this.#deps.mesh.model.snapshot();
    const handlers = [mesh.mixerHandlers, mesh.listCheckers];
    if (handlers.some((index, at) => index !== this.#handlers[at])) {
      this.#handlers = handlers;
      this.#resolver.want(listHandlersOf(mesh).map(([, source]) => source));
    }
    if (this.#held !== undefined) return;
    const now = this.#deps.clock.monotonicMs();
    if (!this.#resolver.isWaiting || now - this.#heldAt < HOLD_MS.between) {
      this.#meshChanged();
      return;
    }
    this.#heldAt = now;
    this.#held = this.#deps.clock.after(HOLD_MS.max, () => this.#release());
    void this.#resolver.tried().then(() => this.#release());
  }

  #release(): void {
    if (this.#held === undefined) return;
    this.#held.cancel();
    this.#held = undefined;
    this.#listsChanged();
    this.#meshChanged();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
