import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { conditionHolds } from '#policy/authz/condition-test.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import {
  clauseKeys,
  factTexts,
  KEY_KINDS,
  type KeyKind,
  type RuleKey,
} from '#policy/authz/rule-keys.ts';

/** Below this many rules trying them one by one is quicker than any index. */
const INDEXED_MIN = 16;

const indexes = new WeakMap<readonly CompiledRule[], RuleIndex>();

/** Of rules in the order of their names, the first that a request meets. */
export function firstMatching(
  rules: readonly CompiledRule[],
  facts: AuthzFacts,
): CompiledRule | undefined {
  if (rules.length < INDEXED_MIN) return rules.find((rule) => ruleMatches(rule, facts));
  const index = indexes.get(rules) ?? new RuleIndex(rules);
  indexes.set(rules, index);
  return index.first(facts);
}

/** Whether a request meets a rule: one of its sources, and one of its operations. */
function ruleMatches({ sources, operations }: CompiledRule, facts: AuthzFacts): boolean {
  const holds = (clause: Clause<Condition>): boolean =>
    clause.every((condition) => conditionHolds(condition, facts));
  return operations.some(holds) && sources.some(holds);
}

/**
 * Rules by what a request must have to meet them: a rule for three identities is tried only for
 * requests of these. Of what a rule asks for, what the fewest rules ask for is its key.
 */
class RuleIndex {
  readonly #rules: readonly CompiledRule[];
  /** By kind of key; only kinds that rules have. */
  readonly #kinds: readonly KeyPlaces[];
  /** Places of those that any request may meet, ascending. */
  readonly #others: number[] = [];

  constructor(rules: readonly CompiledRule[]) {
    this.#rules = rules;
    const choices = rules.map(({ sources, operations }) => [
      sources.map(clauseKeys),
      operations.map(clauseKeys),
    ]);
    const uses = new Uses();
    for (const key of choices.flat(4)) uses.add(key);
    const places = new Map(KEY_KINDS.map((kind) => [kind, new Map<string, number[]>()]));
    for (const [place, sides] of choices.entries()) {
      const keys = uses.fewest(sides.map((side) => keysOfSide(side, uses)));
      if (keys === undefined) this.#others.push(place);
      else for (const { kind, text } of keys) addPlace(places.get(kind), text, place);
    }
    this.#kinds = [...places]
      .filter(([, byText]) => byText.size > 0)
      .map(([kind, byText]) => ({ kind, byText, lengths: lengthsOf(byText.keys()) }));
  }

  /** The first rule that a request meets. */
  first(facts: AuthzFacts): CompiledRule | undefined {
    const found = this.#candidates(facts);
    const others = this.#others;
    for (let at = 0, other = 0; at < found.length || other < others.length; ) {
      const [one = Infinity, two = Infinity] = [found[at], others[other]];
      const rule = this.#rules[Math.min(one, two)];
      if (one < two) at += 1;
      else other += 1;
      if (rule && ruleMatches(rule, facts)) return rule;
    }
    return undefined;
  }

  /** Places of the rules that a request has a key of, ascending. */
  #candidates(facts: AuthzFacts): readonly number[] {
    let found: readonly number[] = [];
    for (const { kind, byText, lengths } of this.#kinds) {
      for (const text of factTexts(kind, facts, lengths)) {
        const places = byText.get(text);
        if (places) found = found.length === 0 ? places : [...found, ...places];
      }
    }
    return this.#kinds.length > 1 || found.length > 1 ? found.toSorted((a, b) => a - b) : found;
  }
}

/** Where rules are that have keys of a kind. */
interface KeyPlaces {
  readonly kind: KeyKind;
  /** Places of rules, ascending. */
  readonly byText: ReadonlyMap<string, readonly number[]>;
  /** How long the keys are, ascending. */
  readonly lengths: readonly number[];
}

function lengthsOf(texts: Iterable<string>): readonly number[] {
  return [...new Set([...texts].map(({ length }) => length))].sort((a, b) => a - b);
}

function addPlace(byText: Map<string, number[]> | undefined, text: string, place: number): void {
  const places = byText?.get(text);
  if (places === undefined) byText?.set(text, [place]);
  else if (places.at(-1) !== place) places.push(place);
}

/** How many rules have a key. */
class Uses {
  readonly #counts = new Map<string, number>();

  add(key: RuleKey): void {
    this.#counts.set(nameOf(key), this.#count(key) + 1);
  }

  /** Of several choices of keys, those that the fewest rules have. */
  fewest(choices: readonly (readonly RuleKey[] | undefined)[]): readonly RuleKey[] | undefined {
    let best: readonly RuleKey[] | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const keys of choices) {
      if (keys === undefined) continue;
      const count = keys.reduce((sum, key) => sum + this.#count(key), 0);
      if (count < fewest) [best, fewest] = [keys, count];
    }
    return best;
  }

  #count(key: RuleKey): number {
    return this.#counts.get(nameOf(key)) ?? 0;
  }
}

function nameOf({ kind, text }: RuleKey): string {
  return `${kind} ${text}`;
}

/** Keys of which whatever meets one of the clauses has one; undefined where there are none. */
function keysOfSide(
  clauses: readonly (readonly (readonly RuleKey[])[])[],
  uses: Uses,
): readonly RuleKey[] | undefined {
  const keys: RuleKey[] = [];
  for (const conditions of clauses) {
    const best = uses.fewest(conditions);
    if (best === undefined) return undefined;
    keys.push(...best);
  }
  return keys;
}
