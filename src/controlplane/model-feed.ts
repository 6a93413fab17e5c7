import type { ApiObject } from '#api/object.ts';
import type { BulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { MeshChange } from '#model/mesh-change.ts';
import { type MeshModel, MODEL_KINDS } from '#model/mesh-model.ts';
import type { Store, StoreWatch } from '#store/store.ts';

export interface ModelFeedDeps {
  readonly store: Store;
  readonly model: MeshModel;
  /** Called after changes went into the model that mean something to it. */
  readonly onChange: () => void;
  readonly log: Logger;
}

/**
 * Carries the objects of the store into the model: all of them once, then every change. When the
 * store says that the watch fell too far behind, it lists again and works out what is gone.
 */
export class ModelFeed implements Component {
  readonly name = 'model';
  readonly #deps: ModelFeedDeps;
  #known = new Map<string, MeshChange>();
  #watch: StoreWatch | undefined;
  #isClosed = false;

  constructor(deps: ModelFeedDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    await this.#load();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    this.#watch = undefined;
  }

  async #load(): Promise<void> {
    const { store, onChange } = this.#deps;
    const from = await store.currentVersion();
    const before = this.#known;
    this.#known = new Map();
    for (const kind of MODEL_KINDS) {
      const { items } = await store.list(kind);
      this.#take(items.map((object) => ({ type: 'ADDED', kind, object }) as const));
    }
    const gone = [...before].filter(([key]) => !this.#known.has(key));
    this.#take(gone.map(([, { kind, object }]) => ({ type: 'DELETED', kind, object })));
    if (this.#isClosed) return;
    this.#watch = store.watch(
      { kinds: MODEL_KINDS, from },
      {
        onEvent: (event) => {
          // The status of an object is no configuration.
          if (this.#take([event])) onChange();
        },
        onError: (error) => void this.#reload(error),
      },
    );
    onChange();
  }

  async #reload(error: BulwarkError): Promise<void> {
    this.#watch = undefined;
    if (this.#isClosed) return;
    this.#deps.log.warn('the watch of the store ended; listing again', { error });
    try {
      await this.#load();
    } catch (cause) {
      // The store is broken: proxies keep what they have, and a supervisor that restarts us may
      // help.
      this.#deps.log.error('the store cannot be listed; changes no longer reach proxies', {
        cause,
      });
    }
  }

  #take(changes: readonly MeshChange[]): boolean {
    for (const change of changes) {
      const key = keyOf(change.kind, change.object);
      if (change.type === 'DELETED') this.#known.delete(key);
      else this.#known.set(key, change);
    }
    return this.#deps.model.apply(changes);
  }
}

function keyOf(kind: string, { metadata }: ApiObject): string {
  return `${kind}/${metadata.namespace ?? ''}/${metadata.name}`;
}
