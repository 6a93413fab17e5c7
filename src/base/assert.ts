/**
 * A programmer's mistake: nothing a user or the world can cause. It ends the process, which
 * restarts with nothing lost; never catch it to go on.
 */
export class AssertionFailure extends Error {
  constructor(message: string) {
    super(`BUG: ${message}`);
    this.name = 'AssertionFailure';
  }
}

/** Crashes with `message` unless `condition` holds. For our own mistakes only, never for input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/**
 * For a `switch` that must handle every member of a union: does not compile when one is left out.
 */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unexpected value ${JSON.stringify(value)}`);
}

/** The value, asserted to be there: for look-ups that cannot miss by construction. */
export function present<T>(value: T | undefined | null, what: string): T {
  assert(value !== undefined && value !== null, `${what} is missing`);
  return value;
}
