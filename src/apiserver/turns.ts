/**
 * Lets those who want to change the same thing do it one after the other, so that none of them
 * works in vain on a state that another is about to replace.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` once all earlier work on `key` has ended. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const done = Promise.withResolvers<void>();
    this.#last.set(key, done.promise);
    try {
      await before;
      return await work();
    } finally {
      if (this.#last.get(key) === done.promise) this.#last.delete(key);
      done.resolve();
    }
  }
}
