import { type StoreDeps, type StoreOptions, TableStore } from '#store/table-store.ts';

/** A store that keeps nothing over a restart: for tests, and for tools that work on files. */
export class MemoryStore extends TableStore {
  constructor(deps: StoreDeps, options: StoreOptions = {}) {
    super(options, deps, { append: async () => {}, close: async () => {} });
  }
}
