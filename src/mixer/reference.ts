import type { Asked } from '#mixer/attributes.ts';
import type { Value, ValueType } from '#mixer/expression.ts';
import { ALWAYS, type Formula, NEVER, type Test } from '#mixer/formula.ts';

/**
 * What is known of an attribute before a request comes: its value (absent: undefined), what of it
 * Envoy can be asked, or that nobody can tell.
 */
export type Fact =
  | { readonly known: Value | undefined }
  /** Told by the request; `isTold`: to the agent, too. */
  | { readonly asked: Asked; readonly type: ValueType; readonly isTold: boolean }
  | 'nobody';

/** What is known of attributes by their name. */
export type Facts = (attribute: string) => Fact;

/**
 * The name under which the value of an expression that the agent works out is an attribute; its key
 * is the expression.
 */
export const COMPUTED = 'computed';

/** An attribute of a request, or an entry of a map of it. */
export interface Reference {
  readonly attribute: string;
  readonly key?: string;
  readonly asked: Asked;
  readonly type: ValueType;
}

/** A value that an expression may have, and when it has it. */
export interface Alternative {
  readonly when: Formula;
  readonly value: Value | Reference;
}

/** The values that an expression may have; `unknown` when only a request could tell. */
export type Alternatives = readonly Alternative[] | 'unknown';

/** Calls whose value is a boolean by what they ask of a request. */
export const JUDGED: ReadonlySet<string> = new Set([
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

/** When an expression is true and when it is false; else it has no value, as a part is absent. */
export interface Truth {
  readonly yes: Formula;
  readonly no: Formula;
}

/** What nothing is known of: it may be either. */
export const UNKNOWN: Truth = { yes: ALWAYS, no: ALWAYS };

/** A list, as a test of what is in it. */
export interface List extends Pick<Test, 'match' | 'values'> {
  /** Whether a value that is known beforehand is in it; undefined when only Envoy can tell. */
  has(value: Value): boolean | undefined;
}

/** How a test is made of its constant. */
export type MakeTest = (constant: string) => {
  readonly match: Test['match'];
  readonly value: string;
};

const prefix: MakeTest = (value) =>
  value === '' ? { match: 'present', value } : { match: 'prefix', value };
const suffix: MakeTest = (value) =>
  value === '' ? { match: 'present', value } : { match: 'suffix', value };

/** What the functions that test texts ask for, by their constant. */
export const testOf = {
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

/** Whether Envoy can be asked this of an attribute. */
export function canBeAsked({ asked, type }: Reference, match: Test['match']): boolean {
  if (asked === 'nothing') return false;
  if (match === 'block') return type === 'IP_ADDRESS';
  if (match === 'pattern') return asked === 'pattern';
  return match === 'equals' || match === 'present' || asked !== 'whole';
}

/** Whether a text that is known passes a test, but for patterns. */
export function holdsFor(text: string, match: Test['match'], value: string): boolean {
  if (match === 'prefix') return text.startsWith(value);
  if (match === 'suffix') return text.endsWith(value);
  return match === 'present' || text === value;
}

/** Whether a value is told by a request. */
export function isReference(value: Alternative['value']): value is Reference {
  return typeof value === 'object' && 'attribute' in value;
}

/** What a test of it names. */
export function subject({ attribute, key }: Reference): Pick<Test, 'attribute' | 'key'> {
  return { attribute, ...(key === undefined ? {} : { key }) };
}

/** Whether it is this value. */
export function equals(reference: Reference, value: Value): Truth {
  return tested(reference, 'equals', String(value));
}

/** True when it matches; false when it is there and does not. */
export function tested(reference: Reference, match: Test['match'], value: string): Truth {
  const about = subject(reference);
  const present: Test = { ...about, match: 'present', values: [], holds: true };
  if (match === 'present') return { yes: [[present]], no: NEVER };
  const test: Test = { ...about, match, values: [value], holds: true };
  return { yes: [[test]], no: [[present, { ...test, holds: false }]] };
}
