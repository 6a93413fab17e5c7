import { computedReference, expressionOf } from '#mixer/computed.ts';
import {
  choicesOf,
  type Expression,
  type ExpressionProblem,
  type Value,
} from '#mixer/expression.ts';
import { ALWAYS, type Formula, FormulaBuilder, NEVER, type Test } from '#mixer/formula.ts';
import { FUNCTIONS } from '#mixer/functions.ts';
import {
  type Alternative,
  type Alternatives,
  canBeAsked,
  equals,
  type Facts,
  holdsFor,
  isReference,
  JUDGED,
  type List,
  type MakeTest,
  type Reference,
  subject,
  type Truth,
  tested,
  testOf,
  UNKNOWN,
} from '#mixer/reference.ts';

type Call = Expression & { readonly kind: 'call' };

/**
 * Reads when expressions, whose types were checked, are true of a request. What cannot be told of a
 * request is among `problems`, and counts as if it might hold.
 */
export class Reader {
  readonly problems: ExpressionProblem[] = [];
  readonly #facts: Facts;
  readonly #builder = new FormulaBuilder();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  get isOverflown(): boolean {
    return this.#builder.isOverflown;
  }

  truth(expression: Expression): Truth {
    if (expression.kind !== 'call') return this.#truthOfValue(expression);
    const { name, args } = expression;
    const [first, second] = args;
    if (first === undefined) return UNKNOWN;
    if (name === '!') {
      const { yes, no } = this.truth(first);
      return { yes: no, no: yes };
    }
    if (second === undefined) return this.#truthOfValue(expression);
    if (name === '&&' || name === '||') return this.#joined(name, first, second);
    if (name === '==' || name === '!=') {
      const { yes, no } = this.#equality(expression, first, second);
      return name === '==' ? { yes, no } : { yes: no, no: yes };
    }
    if (name === 'match' || name === 'startsWith' || name === 'endsWith')
      return this.#textTest(expression, first, second, testOf[name]);
    if (name === 'matches') {
      // What it is was checked where it is written.
      if (first.kind !== 'literal') return this.#unknown(expression, UNKNOWN);
      return this.#textTest(expression, second, first, testOf.matches);
    }
    return this.#truthOfValue(expression);
  }

  isListed(expression: Expression, { match, values, has }: List): Formula {
    const found = this.#alternatives(expression);
    if (found === 'unknown') return ALWAYS;
    return this.#any(found, (value) => {
      const isIn = isReference(value) ? undefined : has(value);
      if (isIn !== undefined) return isIn ? ALWAYS : NEVER;
      const reference = this.#askable(value, match);
      if (reference === undefined) return this.#unknown(expression, ALWAYS);
      return [[{ ...subject(reference), match, values, holds: true }]];
    });
  }

  #joined(name: '&&' | '||', first: Expression, second: Expression): Truth {
    const [a, b] = [this.truth(first), this.truth(second)];
    const builder = this.#builder;
    if (name === '&&')
      return {
        yes: builder.and(a.yes, b.yes),
        no: builder.or(a.no, builder.and(a.yes, b.no)),
      };
    return {
      yes: builder.or(a.yes, builder.and(a.no, b.yes)),
      no: builder.and(a.no, b.no),
    };
  }

  #truthOfValue(expression: Expression): Truth {
    const found = this.#alternatives(expression);
    if (found === 'unknown') return UNKNOWN;
    const is = (wanted: boolean) =>
      this.#any(found, (value) => {
        if (!isReference(value)) return value === wanted ? ALWAYS : NEVER;
        return [[{ ...subject(value), match: 'equals', values: [String(wanted)], holds: true }]];
      });
    return { yes: is(true), no: is(false) };
  }

  #equality(call: Call, first: Expression, second: Expression): Truth {
    const [left, right] = [this.#alternatives(first), this.#alternatives(second)];
    if (left === 'unknown' || right === 'unknown') return UNKNOWN;
    return this.#overPairs(left, right, (a, b) => {
      // Of `!=` the truth is turned around afterwards.
      if (isReference(a) && isReference(b)) return this.#computedTruth({ ...call, name: '==' });
      if (isReference(a)) return isReference(b) ? UNKNOWN : equals(a, b);
      if (isReference(b)) return equals(b, a);
      return a === b ? { yes: ALWAYS, no: NEVER } : { yes: NEVER, no: ALWAYS };
    });
  }

  /** A test of the text of `about` by a constant. */
  #textTest(call: Expression, about: Expression, by: Expression, make: MakeTest): Truth {
    const [texts, constants] = [this.#alternatives(about), this.#alternatives(by)];
    if (texts === 'unknown' || constants === 'unknown') return UNKNOWN;
    return this.#overPairs(texts, constants, (text, constant) => {
      if (isReference(constant)) return this.#computedTruth(call);
      const { match, value } = make(String(constant));
      if (!isReference(text) && match !== 'pattern') {
        return holdsFor(String(text), match, value)
          ? { yes: ALWAYS, no: NEVER }
          : { yes: NEVER, no: ALWAYS };
      }
      const reference = this.#askable(text, match);
      return reference ? tested(reference, match, value) : this.#unknown(call, UNKNOWN);
    });
  }

  /** What Envoy can be asked of a value: the agent may have to tell it the value first. */
  #askable(value: Alternative['value'], match: Test['match']): Reference | undefined {
    if (isReference(value) && canBeAsked(value, match)) return value;
    if (match === 'block') return undefined;
    return computedReference(expressionOf(value), this.#facts);
  }

  #computedTruth(call: Expression): Truth {
    const reference = computedReference(call, this.#facts);
    if (reference === undefined) return this.#unknown(call, UNKNOWN);
    return { yes: equals(reference, true).yes, no: equals(reference, false).yes };
  }

  #computedValue(call: Expression): Alternatives {
    const value = computedReference(call, this.#facts);
    return value ? [{ when: ALWAYS, value }] : this.#unknown(call, 'unknown');
  }

  #overPairs(
    left: readonly Alternative[],
    right: readonly Alternative[],
    judge: (a: Alternative['value'], b: Alternative['value']) => Truth,
  ): Truth {
    let [yes, no] = [NEVER, NEVER];
    for (const a of left) {
      for (const b of right) {
        const when = this.#builder.and(a.when, b.when);
        if (when.length === 0) continue;
        const truth = judge(a.value, b.value);
        yes = this.#builder.or(yes, this.#builder.and(when, truth.yes));
        no = this.#builder.or(no, this.#builder.and(when, truth.no));
      }
    }
    return { yes, no };
  }

  #any(found: readonly Alternative[], judge: (value: Alternative['value']) => Formula): Formula {
    return found.reduce<Formula>(
      (any, { when, value }) => this.#builder.or(any, this.#builder.and(when, judge(value))),
      NEVER,
    );
  }

  #alternatives(expression: Expression): Alternatives {
    if (expression.kind === 'literal') return [{ when: ALWAYS, value: expression.value }];
    if (expression.kind === 'attribute') return this.#attribute(expression);
    const { name, args } = expression;
    const [first, second, third] = args;
    if (name === 'emptyStringMap') return [{ when: ALWAYS, value: new Map() }];
    if (first === undefined) return 'unknown';
    if (second !== undefined) {
      if (name === '[]') return this.#entry(expression, first, second);
      if (name === '|') return this.#firstPresent(choicesOf(expression));
      if (name === 'conditional' && third !== undefined)
        return this.#conditional(first, second, third);
    }
    if (JUDGED.has(name)) return this.#judged(expression);
    return this.#applied(expression, args);
  }

  #attribute(expression: Expression & { readonly kind: 'attribute' }): Alternatives {
    const { name, column } = expression;
    const fact = this.#facts(name);
    if (fact === 'nobody') {
      this.problems.push({ column, message: `${name} is not known to the proxy of the server` });
      return 'unknown';
    }
    if ('asked' in fact) return [{ when: ALWAYS, value: { attribute: name, ...fact } }];
    return fact.known === undefined ? [] : [{ when: ALWAYS, value: fact.known }];
  }

  #entry(call: Expression, map: Expression, key: Expression): Alternatives {
    const [maps, keys] = [this.#alternatives(map), this.#alternatives(key)];
    if (maps === 'unknown' || keys === 'unknown') return 'unknown';
    const entries: Alternative[] = [];
    for (const of of maps) {
      for (const at of keys) {
        if (isReference(at.value)) return this.#computedValue(call);
        const when = this.#builder.and(of.when, at.when);
        const name = String(at.value);
        if (isReference(of.value) && of.value.asked === 'nothing') return this.#computedValue(call);
        if (isReference(of.value)) entries.push({ when, value: { ...of.value, key: name } });
        else {
          const value = of.value instanceof Map ? (of.value.get(name) as string) : undefined;
          if (value !== undefined) entries.push({ when, value });
        }
      }
    }
    return entries;
  }

  #firstPresent(choices: readonly Expression[]): Alternatives {
    const all: Alternative[] = [];
    let absent = ALWAYS;
    for (const choice of choices) {
      const found = this.#alternatives(choice);
      if (found === 'unknown') return 'unknown';
      for (const { when, value } of found)
        all.push({ when: this.#builder.and(absent, when), value });
      const isThere = this.#any(found, (value) => {
        // A map is always there: that of headers may be empty.
        const isMap = isReference(value) && value.key === undefined && value.type === 'STRING_MAP';
        if (!isReference(value) || isMap) return ALWAYS;
        return [[{ ...subject(value), match: 'present', values: [], holds: true }]];
      });
      absent = this.#builder.and(absent, this.#builder.not(isThere));
      if (absent.length === 0) break;
    }
    return all;
  }

  #conditional(condition: Expression, yes: Expression, no: Expression): Alternatives {
    const truth = this.truth(condition);
    const [a, b] = [this.#alternatives(yes), this.#alternatives(no)];
    if (a === 'unknown' || b === 'unknown') return 'unknown';
    const guarded = (guard: Formula, found: readonly Alternative[]) =>
      found.map(({ when, value }) => ({ when: this.#builder.and(guard, when), value }));
    return [...guarded(truth.yes, a), ...guarded(truth.no, b)];
  }

  /** A test, as a value. */
  #judged(expression: Expression): Alternatives {
    const { yes, no } = this.truth(expression);
    return [
      { when: yes, value: true },
      { when: no, value: false },
    ];
  }

  /** A function of what is known beforehand. */
  #applied(call: Call, args: readonly Expression[]): Alternatives {
    const known = FUNCTIONS.get(call.name);
    let found: readonly { readonly when: Formula; readonly values: readonly Value[] }[] = [
      { when: ALWAYS, values: [] },
    ];
    for (const arg of args) {
      const next = this.#alternatives(arg);
      if (next === 'unknown') return 'unknown';
      if (known === undefined || next.some(({ value }) => isReference(value)))
        return this.#computedValue(call);
      found = found.flatMap(({ when, values }) =>
        next.map((one) => ({
          when: this.#builder.and(when, one.when),
          values: [...values, one.value as Value],
        })),
      );
    }
    return found.flatMap(({ when, values }) => {
      const value = known?.apply(...values);
      return value === undefined ? [] : [{ when, value }];
    });
  }

  #unknown<T>({ column }: Expression, result: T): T {
    const message = 'neither Envoy nor its agent can tell this of a request';
    if (!this.problems.some((one) => one.column === column))
      this.problems.push({ column, message });
    return result;
  }
}
