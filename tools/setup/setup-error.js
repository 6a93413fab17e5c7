/**
 * A failure of the set-up that the user can act on: the message says what went wrong and the way
 * out.
 */
export class SetupError extends Error {
  /** @param {string} what @param {string[]} waysOut @param {unknown} [cause] */
  constructor(what, waysOut, cause) {
    super(`${what}\n${waysOut.map((way) => `  - ${way}`).join('\n')}`, { cause });
    this.name = 'SetupError';
    this.expected = true;
  }
}
