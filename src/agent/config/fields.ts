/** What is wrong with a configuration: the path of the field, then what is accepted. */
export type Problems = string[];

interface TextRule {
  readonly pattern: RegExp;
  /** Completes "must be …". */
  readonly what: string;
}

/** A DNS label (RFC 1123), as Kubernetes names namespaces. */
export const LABEL: TextRule = {
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  what: 'a name of lower case letters, digits and "-", at most 63 characters',
};

/** A DNS subdomain (RFC 1123), as Kubernetes names most objects. */
export const SUBDOMAIN: TextRule = {
  pattern: /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
  what: 'a name of lower case letters, digits, "-" and ".", at most 253 characters',
};

/** Any text that says something. */
export const TEXT: TextRule = { pattern: /\S/, what: 'a text that is not empty' };

/**
 * Reads the fields of one map of a configuration and collects what is wrong, so that a user sees
 * every mistake at once. Fields that nobody read are reported as unknown by `finish`.
 */
export class Fields {
  readonly #entries: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #problems: Problems;
  readonly #known = new Set<string>();

  /** @param path of the map itself, `workloads[0]`; '' for the root */
  constructor(value: unknown, path: string, problems: Problems) {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isMap) problems.push(`${path || 'the configuration'} must be a map of fields`);
    this.#entries = isMap ? (value as Record<string, unknown>) : {};
    this.#path = path;
    this.#problems = problems;
  }

  /** The text of a field; undefined when it is left out, or wrong (which is then reported). */
  optionalText(name: string, rule: TextRule): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && rule.pattern.test(value)) return value;
    return this.#wrong(name, rule.what);
  }

  /** Like `optionalText` for a field that must be there; '' when it is missing or wrong. */
  text(name: string, rule: TextRule): string {
    const present = this.#entries[name] !== undefined && this.#entries[name] !== null;
    const value = this.optionalText(name, rule);
    if (!present) this.#problems.push(`${this.at(name)} is missing: it must be ${rule.what}`);
    return value ?? '';
  }

  /** One of a few texts. */
  choice<const C extends string>(name: string, choices: readonly C[], fallback: C): C {
    const value = this.#take(name);
    if (value === undefined) return fallback;
    const found = choices.find((choice) => choice === value);
    return found ?? this.#wrong(name, `one of ${choices.join(', ')}`) ?? fallback;
  }

  /** A port number from `min` to 65535; `fallback` when it is left out or wrong. */
  port(name: string, min: 0 | 1, fallback?: number): number {
    const value = this.#take(name);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= 65_535)
      return value;
    return this.#wrong(name, `a port number from ${min} to 65535`) ?? 0;
  }

  /** The entries of a list, with the path of each; none when it is left out. */
  list(name: string): readonly { readonly value: unknown; readonly path: string }[] {
    const value = this.#take(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) return this.#wrong(name, 'a list') ?? [];
    return value.map((entry: unknown, index) => ({
      value: entry,
      path: `${this.at(name)}[${index}]`,
    }));
  }

  /** The value of a field as it is, for whoever reads it further; undefined when it is left out. */
  raw(name: string): unknown {
    return this.#take(name);
  }

  /** A map of texts, such as labels. */
  textMap(name: string): Readonly<Record<string, string>> {
    const value = this.#take(name);
    if (value === undefined) return {};
    const isMap = typeof value === 'object' && !Array.isArray(value);
    const entries = isMap ? Object.entries(value as object) : [];
    if (!isMap || entries.some(([, text]) => typeof text !== 'string')) {
      return this.#wrong(name, 'a map of texts to texts') ?? {};
    }
    return Object.fromEntries(entries) as Record<string, string>;
  }

  /** The path of one of the fields. */
  at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  /** Reports the fields that nobody asked for. */
  finish(): void {
    for (const name of Object.keys(this.#entries)) {
      if (this.#known.has(name)) continue;
      const accepted = [...this.#known].sort().join(', ');
      this.#problems.push(`${this.at(name)} is no known field; known: ${accepted}`);
    }
  }

  #take(name: string): unknown {
    this.#known.add(name);
    return this.#entries[name] ?? undefined;
  }

  #wrong(name: string, what: string): undefined {
    this.#problems.push(`${this.at(name)} must be ${what}`);
    return undefined;
  }
}
