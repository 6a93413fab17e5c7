import { expressionOf } from '#policy/expression.ts';

/** How a text is compared. */
export type TextMatch =
  | { readonly match: 'exact'; readonly value: string }
  | { readonly match: 'prefix'; readonly value: string }
  | { readonly match: 'suffix'; readonly value: string }
  /** A regular expression of RE2 over the whole text; only Mixer's expressions have it. */
  | { readonly match: 'pattern'; readonly value: string }
  /** Any text but the empty one; one with an end of line in it only where it `spansLines`. */
  | { readonly match: 'present'; readonly spansLines?: true };

/**
 * Reads a value of a policy as Istio does: `*` is presence, a leading `*` a suffix, a trailing `*`
 * a prefix, all else an exact text. A second `*` is an ordinary letter.
 */
export function parseTextMatch(value: string): TextMatch {
  if (value === '*') return { match: 'present' };
  if (value.startsWith('*')) return { match: 'suffix', value: value.slice(1) };
  if (value.endsWith('*')) return { match: 'prefix', value: value.slice(0, -1) };
  return { match: 'exact', value };
}

/** Whether `text` matches. */
export function textMatches(match: TextMatch, text: string): boolean {
  switch (match.match) {
    case 'exact':
      return text === match.value;
    case 'prefix':
      return text.startsWith(match.value);
    case 'suffix':
      return text.endsWith(match.value);
    case 'pattern':
      return expressionOf(match.value, { isWhole: true }).test(text);
    case 'present':
      return text !== '' && (match.spansLines === true || !text.includes('\n'));
  }
}
