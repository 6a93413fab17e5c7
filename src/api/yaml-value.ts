import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type YAMLMap,
  type Document as YamlDocument,
} from 'yaml';
import type { JsonValue } from '#api/schema.ts';
import type { TextProblem } from '#api/yaml-text.ts';
import { LIMITS } from '#base/limits.ts';

/** Key whose value's fields are taken over (YAML 1.1 merge). */
export const MERGE_KEY = '<<';

/** Thrown inside this file only, to leave a nested value. */
class Unreadable extends Error {
  readonly problem: TextProblem;

  constructor(node: Node | null | undefined, message: string, remedy?: string) {
    super(message);
    const offset = node?.range?.[0] ?? 0;
    this.problem = { offset, message, ...(remedy === undefined ? {} : { remedy }) };
  }
}

/** Turns the nodes of one document into JSON. */
class Reader {
  readonly #document: YamlDocument.Parsed;
  /** The innermost alias that is being followed: findings inside it are told where it stands. */
  #alias: Node | undefined;
  #aliases = 0;
  #aliasValues = 0;

  constructor(document: YamlDocument.Parsed) {
    this.#document = document;
  }

  /** `depth` = levels of lists and maps around the node. */
  value(node: Node | null | undefined, depth: number): JsonValue {
    if (node === null || node === undefined) return null;
    if (depth > LIMITS.documentDepthMax) {
      this.#fail(node, `nested deeper than ${LIMITS.documentDepthMax} levels`);
    }
    if (this.#alias !== undefined) {
      this.#aliasValues += 1;
      if (this.#aliasValues > LIMITS.documentAliasValuesMax) {
        const max = LIMITS.documentAliasValuesMax;
        this.#fail(node, `the aliases add up to more than ${max} values`);
      }
    }
    if (isAlias(node)) return this.#follow(node, (target) => this.value(target, depth));
    if (isSeq(node)) return node.items.map((item) => this.value(item as Node | null, depth + 1));
    if (isMap(node)) return Object.fromEntries(this.#members(node, depth));
    if (!isScalar(node)) return this.#fail(node, 'must be a value, a list or a map');
    const { value } = node;
    if (typeof value === 'number' && !Number.isFinite(value)) {
      this.#fail(node, 'JSON has no infinite numbers and no NaN');
    }
    if (value === undefined) return null;
    return value as JsonValue;
  }

  /** Members by key; a key that stands twice is refused, one that is merged gives way. */
  #members(map: YAMLMap, depth: number): Map<string, JsonValue> {
    const members = new Map<string, JsonValue>();
    const merged: Pair[] = [];
    for (const pair of map.items) {
      const key = this.#key(pair);
      if (key === MERGE_KEY && isPlain(pair)) {
        merged.push(pair);
        continue;
      }
      if (members.has(key)) {
        this.#fail(pair.key as Node, `the key "${key}" stands twice in the same map`);
      }
      members.set(key, this.value(pair.value as Node | null, depth + 1));
    }
    for (const pair of merged) this.#merge(pair.value as Node | null, members, depth);
    return members;
  }

  #merge(source: Node | null, members: Map<string, JsonValue>, depth: number): void {
    if (isAlias(source)) {
      this.#follow(source, (target) => this.#merge(target, members, depth));
    } else if (isSeq(source)) {
      for (const item of source.items) this.#merge(item as Node | null, members, depth + 1);
    } else if (isMap(source) && depth <= LIMITS.documentDepthMax) {
      for (const [key, value] of this.#members(source, depth)) {
        if (!members.has(key)) members.set(key, value);
      }
    } else this.#fail(source, 'only maps can be merged with <<');
  }

  #follow<T>(alias: Node & { readonly source: string }, read: (target: Node) => T): T {
    this.#aliases += 1;
    if (this.#aliases > LIMITS.documentAliasesMax) {
      this.#fail(alias, `more than ${LIMITS.documentAliasesMax} aliases`);
    }
    const target = isAlias(alias) ? alias.resolve(this.#document) : undefined;
    if (target === undefined) return this.#fail(alias, `there is no anchor "${alias.source}"`);
    const outer = this.#alias;
    this.#alias ??= alias;
    const result = read(target);
    this.#alias = outer;
    return result;
  }

  #key(pair: Pair): string {
    const key = pair.key as Node | null;
    const node = isAlias(key) ? key.resolve(this.#document) : key;
    if (node === null || node === undefined) return 'null';
    if (!isScalar(node)) return this.#fail(node, 'a key must be a word, a number or a boolean');
    return String(node.value);
  }

  #fail(node: Node | null, message: string): never {
    throw new Unreadable(this.#alias ?? node, message);
  }
}

/** Whether the pair's key is written without quotes, so that `<<` means to merge. */
function isPlain(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.type === 'PLAIN';
}

/** The JSON value of a document, or why it has none. */
export function yamlValue(
  document: YamlDocument.Parsed,
): { readonly value: JsonValue } | { readonly problem: TextProblem } {
  try {
    return { value: new Reader(document).value(document.contents, 0) };
  } catch (error) {
    if (error instanceof Unreadable) return { problem: error.problem };
    throw error;
  }
}
