/**
 * Where the keys of an issuer come from: a URL of theirs, or the issuer that is asked where they
 * are (OpenID Connect Discovery 1.0). Written as one text, so that it can be a key of maps.
 */
export type KeySource = `keys ${string}` | `issuer ${string}`;

/** The keys that were fetched, by their source. Immutable: other keys, another object. */
export class KeySets {
  readonly #texts: ReadonlyMap<KeySource, string>;

  /** `texts`: JSON Web Key Sets that were found good. */
  constructor(texts: ReadonlyMap<KeySource, string>) {
    this.#texts = texts;
  }

  /** Before anything was fetched. */
  static readonly none = new KeySets(new Map());

  /** The key set of a source; undefined when none was ever fetched. */
  get(source: KeySource): string | undefined {
    return this.#texts.get(source);
  }
}
