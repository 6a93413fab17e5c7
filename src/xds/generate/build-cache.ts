import { assert } from '#base/assert.ts';

/**
 * Builds each distinct input once and gives the same object to everybody who asks with an equal
 * input. The input is the whole key: plain JSON values, and `build` may see nothing else. What
 * nobody holds any more is forgotten.
 */
export class BuildCache<I, R extends object> {
  readonly #build: (input: I) => R;
  readonly #known = new Map<string, WeakRef<R>>();
  readonly #forget = new FinalizationRegistry<string>((key) => {
    if (this.#known.get(key)?.deref() === undefined) this.#known.delete(key);
  });

  constructor(build: (input: I) => R) {
    this.#build = build;
  }

  get(input: I): R {
    const key = JSON.stringify(input);
    assert(key !== undefined, 'the input of a build is not JSON');
    const known = this.#known.get(key)?.deref();
    if (known) return known;
    const built = this.#build(input);
    this.#known.set(key, new WeakRef(built));
    this.#forget.register(built, key);
    return built;
  }
}

/**
 * Remembers what was computed from objects, by their identity, for as long as they live. `compute`
 * may depend on the objects alone; everything else that it depends on must be fixed for the life of
 * the cache.
 */
export class IdentityCache<K extends readonly object[], R> {
  readonly #compute: (...keys: K) => R;
  readonly #root: CacheNode<R> = { next: new WeakMap() };

  constructor(compute: (...keys: K) => R) {
    this.#compute = compute;
  }

  get(...keys: K): R {
    let node = this.#root;
    for (const key of keys) {
      let next = node.next.get(key);
      if (!next) {
        next = { next: new WeakMap() };
        node.next.set(key, next);
      }
      node = next;
    }
    node.value ??= { result: this.#compute(...keys) };
    return node.value.result;
  }
}

interface CacheNode<R> {
  readonly next: WeakMap<object, CacheNode<R>>;
  value?: { readonly result: R };
}
