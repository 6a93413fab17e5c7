import { inspect } from 'node:util';

/**
 * Material that must not be seen (keys, tokens): prints and serializes as `[redacted]`, whatever
 * logs it. `reveal()` is the only way to the value, so every use can be found.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}
