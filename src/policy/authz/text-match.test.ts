import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTextMatch, textMatches } from '#policy/authz/text-match.ts';

describe('a text of a policy', () => {
  const cases = [
    ['GET', 'GET', 'get'],
    ['/admin/*', '/admin/x', '/admin'],
    ['*.svc', 'a.svc', 'a.svc.x'],
    ['*', 'anything', ''],
    // A second asterisk is a letter: this is a suffix with an asterisk at its end.
    ['*mid*', 'a mid*', 'a mid b'],
    ['a*b', 'a*b', 'axb'],
    ['**', 'ends in *', 'ends in star'],
  ] as const;
  for (const [value, matching, other] of cases) {
    it(`${value} matches ${JSON.stringify(matching)} and not ${JSON.stringify(other)}`, () => {
      const match = parseTextMatch(value);
      assert.equal(textMatches(match, matching), true);
      assert.equal(textMatches(match, other), false);
    });
  }
});
