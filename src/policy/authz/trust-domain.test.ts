import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expandPrincipal } from '#policy/authz/trust-domain.ts';

describe('a principal of a policy', () => {
  it('of one of our trust domains means the account in all of them', () => {
    const ours = ['new', 'old', 'older'] as const;
    for (const trustDomain of ours)
      assert.deepEqual(expandPrincipal(`${trustDomain}/ns/foo/sa/bar`, ours), [
        'new/ns/foo/sa/bar',
        'old/ns/foo/sa/bar',
        'older/ns/foo/sa/bar',
      ]);
  });

  it('of a foreign trust domain means itself', () => {
    const principal = 'foreign/ns/foo/sa/bar';
    assert.deepEqual(expandPrincipal(principal, ['new', 'old']), [principal]);
  });

  it('for any trust domain, or of another form, means itself', () => {
    for (const principal of ['*', '*/ns/foo/sa/bar', 'new/*', 'new/ns/foo/sa/bar/x'])
      assert.deepEqual(expandPrincipal(principal, ['new', 'old']), [principal]);
  });

  it('whose trust domain is a suffix stays for those it covers, without doubles', () => {
    assert.deepEqual(expandPrincipal('*-td/ns/foo/sa/bar', ['new-td', 'old-td', 'other']), [
      '*-td/ns/foo/sa/bar',
      'other/ns/foo/sa/bar',
    ]);
  });

  it('whose trust domain is a prefix becomes one for each of ours', () => {
    assert.deepEqual(expandPrincipal('td*/ns/foo/sa/bar', ['td1', 'x']), [
      'td1/ns/foo/sa/bar',
      'x/ns/foo/sa/bar',
    ]);
  });
});
