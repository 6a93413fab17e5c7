/** Work that nobody waits for when it begins, and that has to be over when a component closes. */
export class UnderWay {
  readonly #work = new Set<Promise<void>>();

  /** @param work does not fail */
  add(work: Promise<void>): void {
    const counted = work.finally(() => this.#work.delete(counted));
    this.#work.add(counted);
  }

  /** Resolves when everything that was added so far is over. */
  async over(): Promise<void> {
    await Promise.all(this.#work);
  }
}
