import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bearerTokenOf } from '#base/bearer-token.ts';
import { LIMITS } from '#base/limits.ts';

describe('the bearer token of a header', () => {
  for (const header of ['Bearer abc.def-_~+/=', 'bearer abc.def-_~+/=', 'BEARER   abc.def-_~+/='])
    it(`is found in "${header}"`, () => {
      assert.equal(bearerTokenOf(header), 'abc.def-_~+/=');
    });

  const refused = [undefined, '', 'abc', 'Bearer', 'Bearer ', 'Basic abc', 'JWT Bearer abc'];
  const malformed = ['Bearer a b', 'Bearer a,Bearer b', 'Bearer a\n', ' Bearer a', 'Bearera'];
  for (const header of [...refused, ...malformed])
    it(`is not found in ${JSON.stringify(header)}`, () => {
      assert.equal(bearerTokenOf(header), undefined);
    });

  it('may not be longer than the limit', () => {
    const scheme = 'Bearer ';
    const longest = 'x'.repeat(LIMITS.tokenBytesMax - scheme.length);
    assert.equal(bearerTokenOf(scheme + longest), longest);
    assert.equal(bearerTokenOf(`${scheme}${longest}x`), undefined);
  });
});
