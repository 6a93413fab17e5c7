import { LIMITS } from '#base/limits.ts';

/** What is asked of one attribute of a request, or of one entry of it where it is a map. */
export interface Test {
  readonly attribute: string;
  readonly key?: string;
  /** `pattern`: a regular expression (RE2) over the whole text; `block`: addresses (CIDR). */
  readonly match: 'present' | 'equals' | 'prefix' | 'suffix' | 'pattern' | 'block';
  /** One of them must match; none for `present`. */
  readonly values: readonly string[];
  /** False: none of the values may match. What is absent matches none. */
  readonly holds: boolean;
}

/** Tests that must all come out as they say. */
export type TestClause = readonly Test[];

/** Clauses of which one must hold: none is never, an empty clause is always. */
export type Formula = readonly TestClause[];

/** Always. */
export const ALWAYS: Formula = [[]];
/** Never. */
export const NEVER: Formula = [];

/** Joins formulas, each into its simplest form. One that comes out too large is `ALWAYS`. */
export class FormulaBuilder {
  #isOverflown = false;

  /** Whether any came out too large. */
  get isOverflown(): boolean {
    return this.#isOverflown;
  }

  and(a: Formula, b: Formula): Formula {
    if (this.#isOverflown) return ALWAYS;
    // What is sure to be too large is not made first.
    const tests = a.length * sizeOf(b) + b.length * sizeOf(a);
    if (tests > 2 * LIMITS.mixerTestsMax) return this.#overflow();
    const joined = a.flatMap((left) => b.flatMap((right) => simplified([...left, ...right])));
    return this.#bounded(joined);
  }

  or(a: Formula, b: Formula): Formula {
    if (this.#isOverflown) return ALWAYS;
    return this.#bounded([...a, ...b]);
  }

  /** When the formula does not hold. */
  not(formula: Formula): Formula {
    return formula.reduce<Formula>((rest, clause) => {
      const opposite = clause.map((test) => [{ ...test, holds: !test.holds }]);
      return this.and(rest, opposite);
    }, ALWAYS);
  }

  #bounded(clauses: Formula): Formula {
    if (clauses.some((clause) => clause.length === 0)) return ALWAYS;
    const merged = mergedClauses(withoutNarrower(clauses));
    const isSmall = merged.length <= LIMITS.mixerAlternativesMax;
    return isSmall && sizeOf(merged) <= LIMITS.mixerTestsMax ? merged : this.#overflow();
  }

  #overflow(): Formula {
    this.#isOverflown = true;
    return ALWAYS;
  }
}

/** How many tests there are in all clauses. */
function sizeOf(formula: Formula): number {
  return formula.reduce((sum, clause) => sum + clause.length, 0);
}

/** Tests that are left to Envoy, whatever the value. */
const FOR_ENVOY: ReadonlySet<Test['match']> = new Set<Test['match']>(['pattern', 'block']);

function subjectOf({ attribute, key }: Test): string {
  return JSON.stringify([attribute, key]);
}

function textOf(test: Test): string {
  const { attribute, key, match, values, holds } = test;
  return JSON.stringify([attribute, key ?? null, match, holds, values]);
}

/** The clause without what says nothing more; none when it contradicts itself. */
function simplified(clause: TestClause): Formula {
  const bySubject = Map.groupBy(clause, subjectOf);
  const all: Test[] = [];
  for (const tests of bySubject.values()) {
    const rest = simplifiedSubject(tests);
    if (rest === undefined) return NEVER;
    all.push(...rest);
  }
  return [all.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1))];
}

/** The tests of one subject; undefined when no value passes them all. */
function simplifiedSubject(tests: readonly Test[]): readonly Test[] | undefined {
  const needsOne = tests.some(({ holds }) => holds);
  const isAbsent = tests.some(({ match, holds }) => match === 'present' && !holds);
  if (isAbsent)
    return needsOne ? undefined : tests.filter(({ match }) => match === 'present').slice(0, 1);
  const [first, ...more] = tests.filter(({ match, holds }) => match === 'equals' && holds);
  if (first !== undefined) {
    const others = [...more, ...tests.filter(({ match, holds }) => match !== 'equals' || !holds)];
    const values = first.values.filter((value) => others.every((test) => passes(test, value)));
    const patterns = distinct(others.filter(({ match }) => FOR_ENVOY.has(match)));
    return values.length === 0 ? undefined : [{ ...first, values }, ...patterns];
  }
  const isMore = ({ match, holds }: Test) => holds && match !== 'present';
  const isImplied = ({ match }: Test) => match === 'present' && tests.some(isMore);
  return distinct(withUnion(tests.filter((test) => !isImplied(test))));
}

/** All values that are excluded, in one test. */
function withUnion(tests: readonly Test[]): readonly Test[] {
  const excluding = tests.filter(({ match, holds }) => match === 'equals' && !holds);
  const [first] = excluding;
  if (first === undefined) return tests;
  const values = [...new Set(excluding.flatMap((test) => test.values))];
  return [...tests.filter((test) => !excluding.includes(test)), { ...first, values }];
}

function distinct(tests: readonly Test[]): readonly Test[] {
  return [...new Map(tests.map((test) => [textOf(test), test])).values()];
}

/** Whether a value passes a test; one for Envoy it may pass. */
function passes({ match, values, holds }: Test, value: string): boolean {
  switch (match) {
    case 'present':
      return holds;
    case 'equals':
      return values.includes(value) === holds;
    case 'prefix':
      return values.some((prefix) => value.startsWith(prefix)) === holds;
    case 'suffix':
      return values.some((suffix) => value.endsWith(suffix)) === holds;
    case 'pattern':
    case 'block':
      return true;
  }
}

/** Longer clauses are left as they are: the work grows with the square of the length. */
const MERGED_TESTS_MAX = 8;

/** Clauses that differ in the values of one test only become one. */
function mergedClauses(clauses: Formula): Formula {
  const merged: (TestClause | undefined)[] = [];
  const bySignature = new Map<string, number>();
  for (const clause of clauses) {
    let whole = clause;
    const signatures = signaturesOf(clause);
    const found = signatures.find(([signature]) => merged[bySignature.get(signature) ?? -1]);
    if (found) {
      const [signature, at] = found;
      const place = bySignature.get(signature) ?? -1;
      whole = withValuesOf(clause, at, merged[place] ?? []);
      merged[place] = undefined;
    }
    merged.push(whole);
    for (const [signature] of signaturesOf(whole)) bySignature.set(signature, merged.length - 1);
  }
  return merged.filter((clause) => clause !== undefined);
}

/** More clauses are left as they are: the work grows with the square of their number. */
const COMPARED_CLAUSES_MAX = 64;

/** Without clauses that ask for all that another one asks for, and more. */
function withoutNarrower(clauses: Formula): Formula {
  if (clauses.length > COMPARED_CLAUSES_MAX) return clauses;
  const sorted = clauses
    .map((clause) => ({ clause, tests: new Set(clause.map(textOf)) }))
    .sort((a, b) => a.tests.size - b.tests.size);
  const kept: typeof sorted = [];
  for (const one of sorted) {
    const isNarrower = kept.some(({ tests }) => [...tests].every((test) => one.tests.has(test)));
    if (!isNarrower) kept.push(one);
  }
  return kept.map(({ clause }) => clause);
}

/** For each test that has values: the clause without them, and the place of the test. */
function signaturesOf(clause: TestClause): readonly (readonly [string, number])[] {
  if (clause.length > MERGED_TESTS_MAX) return [];
  return clause.flatMap((test, at) => {
    if (!test.holds || test.match === 'present') return [];
    const open = clause.map((one, place) => (place === at ? { ...one, values: [] } : one));
    return [[open.map(textOf).join(), at] as const];
  });
}

function withValuesOf(clause: TestClause, at: number, other: TestClause): TestClause {
  return clause.map((test, place) => {
    if (place !== at) return test;
    return { ...test, values: [...new Set([...(other[at]?.values ?? []), ...test.values])] };
  });
}
