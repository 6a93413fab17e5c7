/** Flags that stand before an expression of RE2; `U` makes no difference to what matches. */
const LEADING_FLAGS = /^\(\?([imsU]+)\)/;
/** `\pL`, `\p{Lu}`, `\P{^Greek}`, and any other letter behind a backslash. */
const ESCAPE = /\\(?:([pP])(?:\{(\^?)(\w+)\}|(\w))|[\s\S])/g;
const ENDS: Readonly<Record<string, string>> = { '\\A': '^', '\\z': '$' };

/**
 * The expression of JavaScript that matches what one of RE2 does, for one that was checked when its
 * object was written: RE2 writes flags, names of groups, both ends of a text, and classes of
 * Unicode in other ways. With `isWhole` it is for the whole text, else for every place in it.
 */
export function expressionOf(re2: string, { isWhole }: { readonly isWhole: boolean }): RegExp {
  const flags = new Set(LEADING_FLAGS.exec(re2)?.[1] ?? '');
  flags.delete('U');
  const body = re2
    .replace(LEADING_FLAGS, '')
    .replaceAll('(?P<', '(?<')
    .replace(ESCAPE, (written, kind?: string, negated?: string, long?: string, short?: string) => {
      if (kind === undefined) return ENDS[written] ?? written;
      flags.add('u');
      const name = long ?? short ?? '';
      const isNegated = (kind === 'P') !== (negated === '^');
      return `\\${isNegated ? 'P' : 'p'}{${/^[A-Z][a-z]?$/.test(name) ? name : `Script=${name}`}}`;
    });
  if (!isWhole) flags.add('g');
  return new RegExp(isWhole ? `^(?:${body})$` : body, [...flags].join(''));
}
