import type { TokenRule } from '#policy/authn/jwt.ts';

/**
 * Whether a filter can tell the requests apart for which each of several rules wants a token.
 * It cannot where their triggers differ and ask for more than beginnings and whole paths: which of
 * two regular expressions is the narrower cannot be said.
 */
export function areTellable(rules: readonly Pick<TokenRule, 'triggers'>[]): boolean {
  const different = new Set(rules.map(({ triggers }) => JSON.stringify(triggers)));
  const isSame = different.size <= 1 && rules.every(({ triggers }) => triggers.length <= 1);
  const tests = rules.flatMap(({ triggers }) =>
    triggers.flatMap(({ excluded, included }) => [...excluded, ...included]),
  );
  return isSame || tests.every(({ match }) => match === 'exact' || match === 'prefix');
}
