import type { Clause, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { conditionHolds } from '#policy/authz/condition-test.ts';
import type { AuthzFacts } from '#policy/authz/request.ts';
import type { TrafficRules } from '#policy/authz/selection.ts';
import { clauseWords } from '#policy/decide/clause-words.ts';

/** How much of a service a caller reaches: all of it, what `only` and `except` say, or nothing. */
export interface Reach {
  readonly reach: 'all' | 'some' | 'none';
  /** What is allowed, in words, sorted; none = everything but `except`. */
  readonly only: readonly string[];
  /** What is denied of it, sorted. */
  readonly except: readonly string[];
  /** Names of the rules that allow or deny. */
  readonly rules: readonly string[];
}

/** Nothing at all. */
export const NO_REACH: Reach = { reach: 'none', only: [], except: [], rules: [] };

/** Everything. */
export const FULL_REACH: Reach = { ...NO_REACH, reach: 'all' };

/** Attributes that are known of a caller before it asks for anything. */
const OF_CALLER: ReadonlySet<Condition['on']> = new Set<Condition['on']>([
  'principal',
  'namespace',
  'serviceAccount',
  'trustDomain',
  'port',
]);

/** Whether something holds for every request, for some, or for none. */
type Holds = 'always' | 'sometimes' | 'never';

/**
 * What policies let a caller reach, whatever it asks for. `facts` has what is known of the caller
 * and the port; with `endUser` set, principals are about users and so are not known.
 */
export function reachOf({ custom, deny, allow }: TrafficRules, facts: AuthzFacts): Reach {
  const except = new Set<string>();
  const rules = new Set<string>();
  for (const rule of deny.enforced ?? []) {
    const holds = ruleHolds(rule, facts);
    if (holds === 'always') return { ...NO_REACH, rules: [rule.name] };
    if (holds === 'sometimes') {
      for (const words of ruleWords(rule, facts)) except.add(words);
      rules.add(rule.name);
    }
  }
  for (const { provider, rules: asked } of custom) {
    const matching = asked.filter((rule) => ruleHolds(rule, facts) !== 'never');
    if (matching.length > 0) except.add(`what the provider ${provider.name} denies`);
    for (const { name } of matching) rules.add(name);
  }
  const only = allowedBy(allow.enforced, facts, rules);
  if (only === undefined) return NO_REACH;
  const reach = only.size + except.size === 0 ? 'all' : 'some';
  return { reach, only: [...only].sort(), except: [...except].sort(), rules: [...rules].sort() };
}

/** What ALLOW rules say, in words; none = everything. Undefined when they allow nothing. */
function allowedBy(
  enforced: readonly CompiledRule[] | undefined,
  facts: AuthzFacts,
  rules: Set<string>,
): ReadonlySet<string> | undefined {
  const only = new Set<string>();
  if (enforced === undefined) return only;
  let isAllowed = false;
  for (const rule of enforced) {
    const holds = ruleHolds(rule, facts);
    if (holds === 'never') continue;
    rules.add(rule.name);
    if (holds === 'always') return new Set();
    isAllowed = true;
    for (const words of ruleWords(rule, facts)) only.add(words);
  }
  return isAllowed ? only : undefined;
}

function ruleHolds({ sources, operations }: CompiledRule, facts: AuthzFacts): Holds {
  const bySource = anyHolds(sources, facts);
  if (bySource === 'never') return 'never';
  const byOperation = anyHolds(operations, facts);
  if (byOperation === 'never') return 'never';
  return bySource === 'always' && byOperation === 'always' ? 'always' : 'sometimes';
}

function anyHolds(clauses: readonly Clause<Condition>[], facts: AuthzFacts): Holds {
  let found: Holds = 'never';
  for (const clause of clauses) {
    const holds = clauseHolds(clause, facts);
    if (holds === 'always') return 'always';
    if (holds === 'sometimes') found = 'sometimes';
  }
  return found;
}

function clauseHolds(clause: Clause<Condition>, facts: AuthzFacts): Holds {
  let isKnown = true;
  for (const condition of clause) {
    if (!isOfCaller(condition, facts)) isKnown = false;
    else if (!conditionHolds(condition, facts)) return 'never';
  }
  return isKnown ? 'always' : 'sometimes';
}

function isOfCaller(condition: Condition, { endUser }: AuthzFacts): boolean {
  const isUser = condition.on === 'principal' && endUser !== undefined && !('ofPeer' in condition);
  return OF_CALLER.has(condition.on) && !isUser;
}

/** What a rule that holds sometimes asks for: one text for each pair of clauses that may hold. */
function ruleWords({ sources, operations }: CompiledRule, facts: AuthzFacts): readonly string[] {
  const possible = (clauses: readonly Clause<Condition>[]) =>
    clauses.filter((clause) => clauseHolds(clause, facts) !== 'never');
  const unknown = (condition: Condition): boolean => !isOfCaller(condition, facts);
  return possible(sources).flatMap((source) =>
    possible(operations).map((operation) => {
      const words = [clauseWords(operation, unknown), clauseWords(source, unknown)];
      return words.filter((text) => text !== '').join(' ') || 'everything';
    }),
  );
}
