import { re2Problem } from '#api/re2.ts';

/** What expressions of JavaScript have and RE2 has not: look-around, references to groups. */
const ONLY_IN_JAVASCRIPT = /\(\?(?:=|!|<=|<!)|\\[1-9]|\\k</;
/** How RE2 writes flags of the whole expression; JavaScript knows only those of parts. */
const LEADING_FLAGS = /^\(\?[imsU]+\)/;
/** Envoy refuses programs that are too large; such an expression is never meant to be read. */
const LENGTH_MAX = 1024;

/**
 * What is wrong with a regular expression that Envoy is to use (RE2); undefined = nothing. Stricter
 * than RE2 at the edges: an expression that Envoy refuses would hold up the whole configuration of
 * a proxy.
 */
export function regexProblem(expression: string): string | undefined {
  if (expression.length > LENGTH_MAX) return `must be no more than ${LENGTH_MAX} characters`;
  if (ONLY_IN_JAVASCRIPT.test(expression))
    return 'must be a regular expression of RE2, which has no look-around and no back-references';
  try {
    new RegExp(expression.replace(LEADING_FLAGS, '').replaceAll('(?P<', '(?<'));
  } catch {
    return 'must be a regular expression (RE2)';
  }
  return re2Problem(expression);
}
