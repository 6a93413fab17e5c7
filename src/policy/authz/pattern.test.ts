import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  escapePattern,
  hostPattern,
  namespacePattern,
  serviceAccountPattern,
  trustDomainPattern,
} from '#policy/authz/pattern.ts';
import { parseTextMatch } from '#policy/authz/text-match.ts';

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(text);
}

const id = (namespace: string, account: string, trustDomain = 'td') =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`;

describe('an expression', () => {
  it('of an escaped text matches that text and no other', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, other) => {
        const pattern = new RegExp(`^(?:${escapePattern(text)})$`, 's');
        assert.equal(pattern.test(text), true);
        assert.equal(pattern.test(other), text === other);
      }),
    );
  });

  for (const anchored of [false, true]) {
    it(`of a namespace, ${anchored ? '' : 'not '}anchored, matches its peers only`, () => {
      const pattern = (value: string) => namespacePattern(parseTextMatch(value), anchored);
      assert.equal(matches(pattern('foo'), id('foo', 'a')), true);
      assert.equal(matches(pattern('foo'), id('foo-x', 'a')), false);
      assert.equal(matches(pattern('foo'), id('bar', 'foo')), false);
      assert.equal(matches(pattern('ns.prod'), id('nsXprod', 'a')), false);
      assert.equal(matches(pattern('foo*'), id('foo-x', 'a')), true);
      assert.equal(matches(pattern('*-x'), id('foo-x', 'a')), true);
      assert.equal(matches(pattern('*'), id('any', 'a')), true);
      assert.equal(matches(pattern('*'), ''), false);
    });

    it(`of a service account, ${anchored ? '' : 'not '}anchored, takes a dot for a dot`, () => {
      const pattern = serviceAccountPattern({ namespace: 'foo', name: 'a.b' }, anchored);
      assert.equal(matches(pattern, id('foo', 'a.b')), true);
      assert.equal(matches(pattern, id('foo', 'axb')), false);
      assert.equal(matches(pattern, id('bar', 'a.b')), false);
    });
  }

  it('anchored is not fooled by an id with more segments, which Istio takes', () => {
    const longer = `spiffe://td/ns/evil/sa/x/ns/foo/sa/a`;
    const foo = parseTextMatch('foo');
    const account = { namespace: 'foo', name: 'a' };
    assert.equal(matches(namespacePattern(foo, false), longer), true);
    assert.equal(matches(namespacePattern(foo, true), longer), false);
    assert.equal(matches(serviceAccountPattern(account, false), longer), true);
    assert.equal(matches(serviceAccountPattern(account, true), longer), false);
    // `*sa` is meant for namespaces that end so; unanchored it finds the segment `sa` of everybody.
    assert.equal(matches(namespacePattern(parseTextMatch('*sa'), false), id('bar', 'a')), true);
    assert.equal(matches(namespacePattern(parseTextMatch('*sa'), true), id('bar', 'a')), false);
  });

  it('of a trust domain matches its peers only', () => {
    const pattern = (value: string) => trustDomainPattern(parseTextMatch(value));
    assert.equal(matches(pattern('td'), id('foo', 'a')), true);
    assert.equal(matches(pattern('td'), id('foo', 'a', 'td.evil')), false);
    assert.equal(matches(pattern('td'), id('td', 'td', 'evil')), false);
    assert.equal(matches(pattern('td*'), id('foo', 'a', 'td-2')), true);
    assert.equal(matches(pattern('*-2'), id('foo', 'a', 'td-2')), true);
    assert.equal(matches(pattern('*'), id('foo', 'a')), true);
  });

  it('of a host takes any letter case, a trailing dot, and any port unless one is named', () => {
    const pattern = (value: string) => hostPattern(parseTextMatch(value));
    for (const host of ['b.foo', 'B.FOO', 'b.foo.', 'b.foo:80', 'b.foo.:80', 'b.foo:'])
      assert.equal(matches(pattern('b.foo'), host), true, host);
    for (const host of ['bxfoo', 'a.b.foo', 'b.foo.x', 'b.foo::', 'b.foo:80:80', 'b.foo..'])
      assert.equal(matches(pattern('b.foo'), host), false, host);
    assert.equal(matches(pattern('b.foo:80'), 'b.foo.:80'), true);
    assert.equal(matches(pattern('b.foo:80'), 'b.foo:8080'), false);
    assert.equal(matches(pattern('b.foo:80'), 'b.foo'), false);
    assert.equal(matches(pattern('*.foo'), 'x.Foo:1'), true);
    assert.equal(matches(pattern('*:80'), 'any:80'), true);
    assert.equal(matches(pattern('*:80'), 'any:81'), false);
    assert.equal(matches(pattern('b.*'), 'B.any:80'), true);
    assert.equal(matches(pattern('[::1]'), '[::1]:80'), true);
  });
});
