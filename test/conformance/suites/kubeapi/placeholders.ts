/** What the server chose for a numbered placeholder: a uid, a token, an address. */
const NUMBERED: Readonly<Record<string, string>> = {
  uid: '[0-9a-f-]{36}',
  rv: '\\d+',
  listrv: '\\d+',
  cont: '[^"&]+',
  token: '[\\w-]+\\.[\\w-]+\\.[\\w-]+',
  rand: '[a-z0-9]{5}',
  ip: '[0-9a-f.:]+',
};
/** Numbered ones of which no equality is claimed. */
const NEVER_SAME = new Set(['listrv', 'cont']);
/** Values of any kind; those left out here are any text. */
const PLAIN: Readonly<Record<string, string>> = {
  n: '\\d+',
  rv: '\\d+',
  rand: '[a-z0-9]{5}',
  time: '[0-9TZ:.+-]+',
};
const PLACEHOLDER = /<([a-z]+):(\d+)>|<([A-Za-z0-9]+|host:port|age of [\d-]+)>/g;
/** A value that need not be a text either. */
const ANY_VALUE = /^<(managedFields|text|nodePort|unix|age|hash)>$/;

/** The placeholders of one scenario, and what the server put in their places. */
export class Placeholders {
  readonly #known = new Map<string, string>();

  /** The text with what is known in place of placeholders; undefined when something is not. */
  fill(text: string, encode: (value: string) => string = String): string | undefined {
    let missing = false;
    const filled = text.replaceAll(PLACEHOLDER, (placeholder, kind?: string) => {
      if (kind === undefined || NUMBERED[kind] === undefined) return placeholder;
      const value = this.#known.get(placeholder);
      if (value === undefined) missing = true;
      return encode(value ?? '');
    });
    return missing ? undefined : filled;
  }

  /** Whether a value is what the text says; new values are remembered. */
  matches(expected: string, actual: unknown): boolean {
    if (expected === actual || ANY_VALUE.test(expected)) return true;
    if (typeof actual !== 'string' && typeof actual !== 'number') return false;
    const found: string[] = [];
    const match = new RegExp(`^${this.#pattern(expected, found)}$`).exec(String(actual));
    if (match === null) return false;
    for (const [index, placeholder] of found.entries())
      this.#known.set(placeholder, match[index + 1] ?? '');
    return true;
  }

  /** An expression for the text; `found` takes the placeholders of its groups. */
  #pattern(expected: string, found: string[]): string {
    let pattern = '';
    let at = 0;
    for (const match of expected.matchAll(PLACEHOLDER)) {
      const [placeholder, kind = '', , plain] = match;
      pattern += escaped(expected.slice(at, match.index));
      at = match.index + placeholder.length;
      const known = NEVER_SAME.has(kind) ? undefined : this.#known.get(placeholder);
      const numbered = NUMBERED[kind];
      if (plain !== undefined || numbered === undefined) {
        pattern += PLAIN[plain ?? ''] ?? '[\\s\\S]*';
      } else if (known !== undefined) {
        pattern += escaped(known);
      } else {
        pattern += `(${numbered})`;
        found.push(placeholder);
      }
    }
    return pattern + escaped(expected.slice(at));
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
