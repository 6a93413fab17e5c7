import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { SourceCondition } from '#policy/authz/condition.ts';

const SCHEME = 'spiffe://';
const IDENTITY = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/;

/**
 * Which rules may match which callers. The rules of a caller hold all that may match it, in the
 * order of the whole, so that trying them says the same as trying all. Nothing is said of callers
 * that are in neither map.
 */
export interface RulesByCaller {
  /** By identity. */
  readonly identities: ReadonlyMap<string, readonly CompiledRule[]>;
  /**
   * By what the identities of a namespace begin with, `spiffe://<trust domain>/ns/<namespace>/sa/`:
   * of those that are not in `identities`.
   */
  readonly namespaces: ReadonlyMap<string, readonly CompiledRule[]>;
}

/**
 * Sorts rules by the callers that they name; undefined where they name too few for that to be of
 * use.
 * @param trustDomains those of the mesh: namespaces mean the same in each of them
 */
export function rulesByCaller(
  rules: readonly CompiledRule[],
  trustDomains: readonly string[],
): RulesByCaller | undefined {
  const index = new CallerIndex(trustDomains);
  for (const rule of rules) for (const clause of rule.sources) index.addKeys(clause);
  for (const [at, { sources }] of rules.entries()) {
    for (const clause of sources) index.add(at, clause);
  }
  const identities = index.listed(rules, index.identities);
  const namespaces = index.listed(rules, index.namespaces);
  const lists = [...identities.values(), ...namespaces.values()];
  const most = Math.max(COPIES_MAX * sizeOf(rules), COPIED_ALWAYS);
  const copied = lists.reduce((sum, list) => (sum > most ? sum : sum + sizeOf(list)), 0);
  return lists.length === 0 || copied > most ? undefined : { identities, namespaces };
}

/**
 * How many times over the rules may be written: those about everybody are in every list, and one
 * that names many callers is as long as it is often there.
 */
const COPIES_MAX = 4;
/** Values that may be copied however few there are. */
const COPIED_ALWAYS = 2000;

/** About how long rules are: their values. */
function sizeOf(rules: readonly CompiledRule[]): number {
  return rules.reduce((sum, rule) => sum + sizeOfRule(rule), 0);
}

const sizes = new WeakMap<CompiledRule, number>();

function sizeOfRule(rule: CompiledRule): number {
  const known = sizes.get(rule);
  if (known !== undefined) return known;
  const conditions = [...rule.sources, ...rule.operations].flat();
  const size = conditions.reduce(
    (sum, { values, notValues }) => sum + values.length + notValues.length,
    1,
  );
  sizes.set(rule, size);
  return size;
}

/** The condition of a clause by which its callers can be looked up. */
type Anchor = Extract<
  SourceCondition,
  { readonly on: 'principal' | 'serviceAccount' | 'namespace' }
>;

class CallerIndex {
  /** Places of rules, by the same keys as in RulesByCaller. */
  readonly identities = new Map<string, Set<number>>();
  readonly namespaces = new Map<string, Set<number>>();
  readonly #trustDomains: readonly string[];
  /** Identities of the first map by `<namespace>` and by `<namespace>/<account>`. */
  readonly #alike = new Map<string, string[]>();
  /** Places of rules that any caller may meet. */
  readonly #common = new Set<number>();

  constructor(trustDomains: readonly string[]) {
    this.#trustDomains = trustDomains;
  }

  /** Notes the callers that a clause names. */
  addKeys(clause: Clause<SourceCondition>): void {
    const anchor = anchorOf(clause);
    if (anchor?.on === 'principal') {
      for (const { match, value } of textsOf(anchor.values))
        if (match === 'exact') this.#addIdentity(`${SCHEME}${value}`);
    } else if (anchor?.on === 'serviceAccount') {
      for (const { namespace, name } of anchor.values)
        for (const prefix of this.#prefixesOf(namespace)) this.#addIdentity(`${prefix}${name}`);
    } else if (anchor?.on === 'namespace') {
      for (const { value } of textsOf(anchor.values))
        for (const prefix of this.#prefixesOf(value)) this.namespaces.set(prefix, new Set());
    }
  }

  /** Notes whom the clause of a rule may match; all keys are known. */
  add(rule: number, clause: Clause<SourceCondition>): void {
    const anchor = anchorOf(clause);
    if (anchor === undefined) {
      this.#common.add(rule);
    } else if (anchor.on === 'principal') {
      for (const { value } of textsOf(anchor.values))
        this.identities.get(`${SCHEME}${value}`)?.add(rule);
    } else if (anchor.on === 'serviceAccount') {
      for (const { namespace, name } of anchor.values) this.#addAlike(rule, `${namespace}/${name}`);
    } else {
      for (const { value } of textsOf(anchor.values)) {
        this.#addAlike(rule, value);
        for (const prefix of this.#prefixesOf(value)) this.namespaces.get(prefix)?.add(rule);
      }
    }
  }

  /** The rules of each key. */
  listed(
    rules: readonly CompiledRule[],
    places: ReadonlyMap<string, ReadonlySet<number>>,
  ): ReadonlyMap<string, readonly CompiledRule[]> {
    return new Map(
      [...places]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, own]) => {
          const all = [...new Set([...this.#common, ...own])].sort((a, b) => a - b);
          return [key, all.flatMap((at) => rules[at] ?? [])];
        }),
    );
  }

  #addIdentity(identity: string): void {
    if (this.identities.has(identity)) return;
    this.identities.set(identity, new Set());
    const [, namespace, name] = IDENTITY.exec(identity) ?? [];
    if (namespace === undefined || name === undefined) return;
    for (const key of [namespace, `${namespace}/${name}`]) {
      const alike = this.#alike.get(key);
      if (alike) alike.push(identity);
      else this.#alike.set(key, [identity]);
    }
  }

  #addAlike(rule: number, key: string): void {
    for (const identity of this.#alike.get(key) ?? []) this.identities.get(identity)?.add(rule);
  }

  #prefixesOf(namespace: string): readonly string[] {
    return this.#trustDomains.map((domain) => `${SCHEME}${domain}/ns/${namespace}/sa/`);
  }
}

function anchorOf(clause: Clause<SourceCondition>): Anchor | undefined {
  return clause.find((condition): condition is Anchor => {
    if (condition.values.length === 0) return false;
    switch (condition.on) {
      case 'principal':
        return condition.values.every(isExact);
      case 'namespace':
        return condition.anchored && condition.values.every(isExact);
      case 'serviceAccount':
        return condition.anchored;
      default:
        return false;
    }
  });
}

function isExact({ match }: { readonly match: string }): boolean {
  return match === 'exact';
}

/** Values that are exact, as those of every anchor are. */
function textsOf<M extends { readonly match: string }>(
  values: readonly M[],
): readonly Extract<M, { readonly match: 'exact' }>[] {
  return values.filter((one): one is Extract<M, { readonly match: 'exact' }> => isExact(one));
}
