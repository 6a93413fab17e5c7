import { kindOf } from '#api/kinds.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import type { Store } from '#store/store.ts';

/** A store that notes what is done with it, as `verb resource` of Kubernetes' access control. */
export function recordingStore(store: Store): {
  readonly store: Store;
  readonly used: Set<string>;
} {
  const used = new Set<string>();
  const note = (verb: string, kind: KindId | undefined): void => void used.add(`${verb} ${kind}`);
  const idOf = ({ apiVersion, kind }: ApiObject) => kindOf(apiVersion, kind)?.id;
  const recording: Store = {
    get: (key) => {
      note('get', key.kind);
      return store.get(key);
    },
    list: (kind, options) => {
      note('list', kind);
      return store.list(kind, options);
    },
    create: (object, options) => {
      note('create', idOf(object));
      return store.create(object, options);
    },
    update: (object) => {
      note('update', idOf(object));
      return store.update(object);
    },
    updateStatus: (object) => {
      note('update', `${idOf(object)}/status`);
      return store.updateStatus(object);
    },
    delete: (key, precondition) => {
      note('delete', key.kind);
      return store.delete(key, precondition);
    },
    watch: (options, observer) => {
      for (const kind of options.kinds ?? ['*']) note('watch', kind);
      return store.watch(options, observer);
    },
    currentVersion: () => store.currentVersion(),
    close: () => store.close(),
  };
  return { store: recording, used };
}
