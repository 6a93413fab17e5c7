/**
 * Remembers one value for each list of objects, by their identity and order, for as long as the
 * objects live: whoever asks with the same list gets the same value.
 */
export class SharedByList<K extends object, V extends object> {
  readonly #start: Step<K, V> = newStep();

  /** The value of the list; `make` is called for a list that nobody asked with before. */
  get(keys: readonly K[], make: () => V): V {
    let step = this.#start;
    for (const key of keys) {
      let next = step.next.get(key);
      if (next === undefined) {
        next = newStep();
        step.next.set(key, next);
      }
      step = next;
    }
    step.value ??= make();
    return step.value;
  }
}

/** A step on the way to a list: the lists that go on from here, by their next object. */
interface Step<K extends object, V> {
  readonly next: WeakMap<K, Step<K, V>>;
  value: V | undefined;
}

function newStep<K extends object, V>(): Step<K, V> {
  return { next: new WeakMap(), value: undefined };
}
