import type { Asked } from '#mixer/attributes.ts';
import type { Expression, ExpressionProblem, Value, ValueType } from '#mixer/expression.ts';
import { ALWAYS, type Formula, FormulaBuilder, NEVER, type Test } from '#mixer/formula.ts';
import { FUNCTIONS } from '#mixer/functions.ts';

/**
 * What is known of an attribute before a request comes: its value (absent: undefined), what of it
 * Envoy can be asked, or that nobody can tell.
 */
export type Fact =
  | { readonly known: Value | undefined }
  /** Told by the request. */
  | { readonly asked: Asked; readonly type: ValueType }
  | 'nobody';

/** What is known of attributes by their name. */
export type Facts = (attribute: string) => Fact;

/** When an expression holds, and what of it could not be understood. */
export interface Predicate {
  readonly when: Formula;
  /** With any of these `when` holds wider than the expression. */
  readonly problems: readonly ExpressionProblem[];
}

/** An attribute of a request, or an entry of a map of it. */
interface Reference {
  readonly attribute: string;
  readonly key?: string;
  readonly asked: Asked;
  readonly type: ValueType;
}

/** A value that an expression may have, and when it has it. */
interface Alternative {
  readonly when: Formula;
  readonly value: Value | Reference;
}

/** The values that an expression may have; `unknown` when only a request could tell. */
type Alternatives = readonly Alternative[] | 'unknown';

/** When an expression is true and when it is false; else it has no value, as a part is absent. */
interface Truth {
  readonly yes: Formula;
  readonly no: Formula;
}

const UNKNOWN: Truth = { yes: ALWAYS, no: ALWAYS };

/**
 * When boolean expressions, whose types were checked, are all true of a request. What is absent
 * makes all that asks for it neither true nor false, and the whole not true. Pure and total: what
 * cannot be told of a request counts as if it might hold.
 */
export function predicateOf(expressions: readonly Expression[], facts: Facts): Predicate {
  const problems: ExpressionProblem[] = [];
  const builder = new FormulaBuilder();
  let when = ALWAYS;
  for (const part of expressions.flatMap(conjunctsOf)) {
    const reader = new Reader(facts);
    const { yes } = reader.truth(part);
    problems.push(...reader.problems);
    if (reader.isOverflown) tooLarge(part, problems);
    const both = builder.and(when, reader.isOverflown ? ALWAYS : yes);
    // What was joined so far covers the whole.
    if (builder.isOverflown) {
      tooLarge(part, problems);
      return { when, problems };
    }
    when = both;
  }
  return { when, problems };
}

/** A list, as a test of what is in it. */
export interface List extends Pick<Test, 'match' | 'values'> {
  /** Whether a value that is known beforehand is in it; undefined when only Envoy can tell. */
  has(value: Value): boolean | undefined;
}

/** When the value of an expression is in a list; what is absent is not. */
export function isListed(expression: Expression, list: List, facts: Facts): Predicate {
  const reader = new Reader(facts);
  const when = reader.isListed(expression, list);
  const { problems, isOverflown } = reader;
  if (isOverflown) tooLarge(expression, problems);
  return { when: isOverflown ? ALWAYS : when, problems };
}

/** What must all hold for the expression to hold. */
export function conjunctsOf(expression: Expression): readonly Expression[] {
  if (expression.kind !== 'call' || expression.name !== '&&') return [expression];
  return expression.args.flatMap(conjunctsOf);
}

function tooLarge({ column }: Expression, problems: ExpressionProblem[]): void {
  problems.push({ column, message: 'the expression has too many alternatives for Envoy' });
}

class Reader {
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
      if (isReference(value)) {
        if (!canBeAsked(value, match)) return this.#unknown(expression, ALWAYS);
        return [[{ ...subject(value), match, values, holds: true }]];
      }
      const isIn = has(value);
      return isIn === undefined ? this.#unknown(expression, ALWAYS) : isIn ? ALWAYS : NEVER;
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

  #equality(call: Expression, first: Expression, second: Expression): Truth {
    const [left, right] = [this.#alternatives(first), this.#alternatives(second)];
    if (left === 'unknown' || right === 'unknown') return UNKNOWN;
    return this.#overPairs(left, right, (a, b) => {
      if (isReference(a) && isReference(b)) return this.#unknown(call, UNKNOWN);
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
      if (isReference(constant)) return this.#unknown(call, UNKNOWN);
      const { match, value } = make(String(constant));
      if (!isReference(text)) {
        if (match === 'pattern') return this.#unknown(call, UNKNOWN);
        return holdsFor(String(text), match, value)
          ? { yes: ALWAYS, no: NEVER }
          : { yes: NEVER, no: ALWAYS };
      }
      if (!canBeAsked(text, match)) return this.#unknown(call, UNKNOWN);
      return tested(text, match, value);
    });
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
      if (name === '|') return this.#firstPresent(first, second);
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
        if (isReference(at.value)) return this.#unknown(call, 'unknown');
        const when = this.#builder.and(of.when, at.when);
        const name = String(at.value);
        if (isReference(of.value)) entries.push({ when, value: { ...of.value, key: name } });
        else {
          const value = of.value instanceof Map ? (of.value.get(name) as string) : undefined;
          if (value !== undefined) entries.push({ when, value });
        }
      }
    }
    return entries;
  }

  #firstPresent(first: Expression, second: Expression): Alternatives {
    const [a, b] = [this.#alternatives(first), this.#alternatives(second)];
    if (a === 'unknown' || b === 'unknown') return 'unknown';
    const isThere = this.#any(a, (value) => {
      // A map is always there: that of headers may be empty.
      if (!isReference(value) || (value.key === undefined && value.type === 'STRING_MAP'))
        return ALWAYS;
      return [[{ ...subject(value), match: 'present', values: [], holds: true }]];
    });
    const absent = this.#builder.not(isThere);
    if (absent.length === 0) return a;
    return [
      ...a,
      ...b.map(({ when, value }) => ({ when: this.#builder.and(absent, when), value })),
    ];
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
  #applied(
    call: Expression & { readonly kind: 'call' },
    args: readonly Expression[],
  ): Alternatives {
    const known = FUNCTIONS.get(call.name);
    let found: readonly { readonly when: Formula; readonly values: readonly Value[] }[] = [
      { when: ALWAYS, values: [] },
    ];
    for (const arg of args) {
      const next = this.#alternatives(arg);
      if (next === 'unknown') return 'unknown';
      if (known === undefined || next.some(({ value }) => isReference(value)))
        return this.#unknown(call, 'unknown');
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
    const message = 'Envoy cannot be asked this of a request';
    if (!this.problems.some((one) => one.column === column))
      this.problems.push({ column, message });
    return result;
  }
}

/** Calls whose value is a boolean by what they ask of a request. */
const JUDGED: ReadonlySet<string> = new Set([
  '&&',
  '||',
  '!',
  '==',
  '!=',
  'match',
  'startsWith',
  'endsWith',
  'matches',
]);

/** How a test is made of its constant. */
type MakeTest = (constant: string) => { readonly match: Test['match']; readonly value: string };

const prefix: MakeTest = (value) =>
  value === '' ? { match: 'present', value } : { match: 'prefix', value };
const suffix: MakeTest = (value) =>
  value === '' ? { match: 'present', value } : { match: 'suffix', value };

const testOf = {
  match: (pattern) => {
    if (pattern.endsWith('*')) return prefix(pattern.slice(0, -1));
    return pattern.startsWith('*') ? suffix(pattern.slice(1)) : { match: 'equals', value: pattern };
  },
  startsWith: prefix,
  endsWith: suffix,
  matches: (pattern) => ({ match: 'pattern', value: patternWithin(pattern) }),
} as const satisfies Readonly<Record<string, MakeTest>>;

/**
 * A regular expression over a whole text, as Envoy takes it, of one that may match anywhere in it,
 * as Mixer takes it.
 */
export function patternWithin(pattern: string): string {
  const [, flags, rest = pattern] = /^\(\?([ims]+)\)(.*)$/s.exec(pattern) ?? [];
  return `(?s:.*)(?${flags ?? ''}:${rest})(?s:.*)`;
}

function canBeAsked({ asked, type }: Reference, match: Test['match']): boolean {
  if (match === 'block') return type === 'IP_ADDRESS';
  if (match === 'pattern') return asked === 'pattern';
  return match === 'equals' || match === 'present' || asked !== 'whole';
}

function holdsFor(text: string, match: Test['match'], value: string): boolean {
  if (match === 'prefix') return text.startsWith(value);
  if (match === 'suffix') return text.endsWith(value);
  return match === 'present' || text === value;
}

function isReference(value: Alternative['value']): value is Reference {
  return typeof value === 'object' && 'attribute' in value;
}

function subject({ attribute, key }: Reference): Pick<Test, 'attribute' | 'key'> {
  return { attribute, ...(key === undefined ? {} : { key }) };
}

function equals(reference: Reference, value: Value): Truth {
  return tested(reference, 'equals', String(value));
}

/** True when it matches; false when it is there and does not. */
function tested(reference: Reference, match: Test['match'], value: string): Truth {
  const about = subject(reference);
  const present: Test = { ...about, match: 'present', values: [], holds: true };
  if (match === 'present') return { yes: [[present]], no: NEVER };
  const test: Test = { ...about, match, values: [value], holds: true };
  return { yes: [[test]], no: [[present, { ...test, holds: false }]] };
}
