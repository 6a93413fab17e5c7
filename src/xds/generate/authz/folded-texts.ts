import { LIMITS } from '#base/limits.ts';
import type { Tests } from '#policy/authz/condition.ts';
import { escapePattern } from '#policy/authz/pattern.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';

/**
 * Envoy refuses an expression whose program has more than 32,768 instructions. RE2 writes what
 * sorted texts begin with in common once; each further byte takes an instruction, and each text a
 * few.
 */
const INSTRUCTIONS_MAX = 24_000;
const INSTRUCTIONS_OF_A_TEXT = 4;
/** `.` and `[^/]`, over all that UTF-8 has. */
const ANY_CHARACTER = /\[\^|(?<!\\)\./g;
const INSTRUCTIONS_OF_A_CLASS = 24;
/** Each letter is one of two. */
const ANY_CASE = /^\(\?i:/;
const LETTERS_OF_ANY_CASE = 4;

/**
 * The same tests at a cost that does not grow with the number of exact texts: Envoy tries values
 * one by one, and an expression of many texts as fast as one of one text. Few values stay as they
 * are, in Istio's shape. Texts with wildcards stay too: expressions see characters where they see
 * bytes.
 */
export function folded<M extends TextMatch | { readonly match: 'template' }, T extends Tests<M>>(
  tests: T,
): T {
  const { values, notValues } = tests;
  const fold = (matches: T['values']) => foldExpressions(foldExact(matches));
  return { ...tests, values: fold(values), notValues: fold(notValues) };
}

/**
 * A text in any letter case, as a list of Mixer has it. The size of other expressions of users
 * cannot be told, so they stay as they are.
 */
const TEXT_OF_ANY_CASE = /^\(\?i:(?:[^\\()[\]{}.*+?|^$]|\\[^A-Za-z0-9])*\)$/;

function foldExpressions<M extends TextMatch | { readonly match: 'template' }>(
  matches: readonly (M | TextMatch)[],
): readonly (M | TextMatch)[] {
  const patterns = matches.flatMap((one) =>
    one.match === 'pattern' && TEXT_OF_ANY_CASE.test(one.value) ? [one.value] : [],
  );
  if (patterns.length < LIMITS.authzFoldedTextsMin) return matches;
  const known = new Set(patterns);
  const others = matches.filter((one) => !(one.match === 'pattern' && known.has(one.value)));
  const values = foldedPatterns(patterns);
  return [...values.map((value): TextMatch => ({ match: 'pattern', value })), ...others];
}

function foldExact<M extends TextMatch | { readonly match: 'template' }>(
  matches: readonly M[],
): readonly (M | TextMatch)[] {
  const exact = matches.flatMap((one) => (one.match === 'exact' ? [one.value] : []));
  if (exact.length < LIMITS.authzFoldedTextsMin) return matches;
  const others = matches.filter(({ match }) => match !== 'exact');
  return [...expressionsOf([...new Set(exact)].sort()), ...others];
}

/**
 * Expressions of which one must match, as few as Envoy takes; a few stay as they are. What stands
 * for any character takes more than its letters.
 */
export function foldedPatterns(patterns: readonly string[]): readonly string[] {
  if (patterns.length < LIMITS.authzFoldedTextsMin) return patterns;
  const parts = inParts([...new Set(patterns)].sort(), (pattern) => {
    const classes = pattern.match(ANY_CHARACTER)?.length ?? 0;
    const letters = ANY_CASE.test(pattern) ? LETTERS_OF_ANY_CASE : 1;
    const own = Buffer.byteLength(pattern) * letters + INSTRUCTIONS_OF_A_TEXT;
    return own + classes * INSTRUCTIONS_OF_A_CLASS;
  });
  return parts.map((part) => part.join('|'));
}

/** As many expressions as it takes for texts that are sorted and distinct. */
function expressionsOf(texts: readonly string[]): TextMatch[] {
  return inParts(texts, instructionsOf).map((part) => ({
    match: 'pattern',
    value: part.map(escapePattern).join('|'),
  }));
}

/** Runs of texts whose programs are not too large; `sizeOf` gets a text and the one before it. */
function inParts(
  texts: readonly string[],
  sizeOf: (text: string, before: string) => number,
): readonly string[][] {
  const parts: string[][] = [[]];
  let size = 0;
  let before = '';
  for (const text of texts) {
    size += sizeOf(text, before);
    if (size > INSTRUCTIONS_MAX) {
      parts.push([]);
      size = sizeOf(text, '');
    }
    parts.at(-1)?.push(text);
    before = text;
  }
  return parts;
}

function instructionsOf(text: string, before: string): number {
  let shared = 0;
  while (shared < text.length && text[shared] === before[shared]) shared += 1;
  return Buffer.byteLength(text.slice(shared)) + INSTRUCTIONS_OF_A_TEXT;
}
