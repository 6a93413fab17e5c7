import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalPath, withoutFragment } from '#policy/authz/request-path.ts';

// Every line was seen from Envoy 1.40; the differential test goes on asking it.

describe('the path that policies see', () => {
  const both = [
    ['/admin?x=/y', '/admin'],
    ['/a/./b', '/a/b'],
    ['/x/../admin', '/admin'],
    ['/x/%2e%2E/admin', '/admin'],
    ['/a/..;x/admin', '/admin'],
    ['/a/%2e%2e;/admin', '/a/..;/admin'],
    ['/../..', '/'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['/%61dmin', '/admin'],
    ['/a\\b', '/a/b'],
    ['/a"b', '/a%22b'],
    ['/%2561dmin', '/%2561dmin'],
    ['/%%32%66', '/%252f'],
    ['/%zz', '/%zz'],
    ['/ADMIN;a=b', '/ADMIN;a=b'],
    ['http://x/admin', '/admin'],
    ['HTTPS://x', '/'],
    ['http://x?/admin', '/'],
  ] as const;
  for (const [target, path] of both) {
    it(`of ${target} is ${path} whatever becomes of slashes`, () => {
      assert.equal(canonicalPath(target, 'BASE'), path);
      assert.equal(canonicalPath(target, 'DECODE_AND_MERGE_SLASHES'), path);
    });
  }

  const different = [
    ['//admin', '//admin', '/admin'],
    ['/a//../b', '/a/b', '/a/b'],
    ['/admin%2fx', '/admin%2fx', '/admin/x'],
    ['/admin%5Cx', '/admin%5Cx', '/admin/x'],
    ['/x%2f..%2fadmin', '/x%2f..%2fadmin', '/admin'],
    ['/admin/', '/admin/', '/admin/'],
    ['//', '//', '//'],
  ] as const;
  for (const [target, istio, strict] of different) {
    it(`of ${target} is ${istio} for BASE and ${strict} with slashes decoded`, () => {
      assert.equal(canonicalPath(target, 'BASE'), istio);
      assert.equal(canonicalPath(target, 'DECODE_AND_MERGE_SLASHES'), strict);
    });
  }

  it('is left as it is, or has slashes merged only, where the mesh says so', () => {
    assert.equal(canonicalPath('//x/../%61%00', 'NONE'), '//x/../%61%00');
    assert.equal(canonicalPath('/a#b', 'NONE'), undefined);
    assert.equal(canonicalPath('//admin%2fx', 'MERGE_SLASHES'), '/admin%2fx');
  });

  it('is none where Envoy answers 400', () => {
    for (const target of ['/a#b', '/a%00', '/a b', '/\u00e9', '/\u0000', 'admin', '', '*'])
      assert.equal(
        canonicalPath(target, 'DECODE_AND_MERGE_SLASHES'),
        undefined,
        JSON.stringify(target),
      );
  });

  it('has no fragment: a request with one is refused, or goes on without in profile istio', () => {
    for (const target of ['/admin#f', '/admin#', '/admin#/../x?y#z']) {
      assert.equal(withoutFragment(target, 'strict'), undefined);
      assert.equal(withoutFragment(target, 'istio'), '/admin');
    }
    assert.equal(withoutFragment('/admin?x', 'strict'), '/admin?x');
  });

  it('is already canonical, but for escapes that escaped', () => {
    fc.assert(
      fc.property(
        fc.webPath(),
        fc.constantFrom('BASE', 'DECODE_AND_MERGE_SLASHES'),
        (target, profile) => {
          const path = canonicalPath(target === '' ? '/' : target, profile);
          if (path !== undefined) assert.equal(canonicalPath(path, profile), path);
        },
      ),
    );
  });
});
