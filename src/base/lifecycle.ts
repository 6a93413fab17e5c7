import type { Logger } from '#base/log.ts';

/**
 * Something that runs. Constructing does no I/O; `start` begins and resolves when it is usable;
 * `close` ends, waits until everything it owns has ended, and may be called at any time and more
 * than once.
 */
export interface Component {
  readonly name: string;
  start(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts components in order and closes those that were started in reverse order, also when a start
 * fails.
 */
export class Lifecycle {
  readonly #log: Logger;
  readonly #started: Component[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @throws what a component's start threw, after closing the ones before it */
  async start(components: readonly Component[]): Promise<void> {
    for (const component of components) {
      this.#started.push(component);
      try {
        await component.start();
      } catch (error) {
        await this.close();
        throw error;
      }
    }
  }

  async close(): Promise<void> {
    for (let last = this.#started.pop(); last; last = this.#started.pop()) {
      try {
        await last.close();
      } catch (error) {
        this.#log.error('component did not close cleanly', { component: last.name, error });
      }
    }
  }
}
