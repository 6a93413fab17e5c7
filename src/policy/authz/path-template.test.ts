import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPathTemplate, parsePathTemplate } from '#policy/authz/path-template.ts';
import { templatePattern } from '#policy/authz/pattern.ts';

function matches(path: string, requested: string, anyCharacter = false): boolean {
  const template = parsePathTemplate(path, anyCharacter);
  assert.ok(template, `${path} is a template`);
  return new RegExp(`^${templatePattern(template)}$`).test(requested);
}

describe('a path template', () => {
  it('is a path with an operator in braces', () => {
    assert.equal(isPathTemplate('/a/{*}'), true);
    assert.equal(isPathTemplate('/a/{**}/b'), true);
    assert.equal(isPathTemplate('/a/*'), false);
    assert.equal(isPathTemplate('/a/{id}'), false);
  });

  it('{*} is one whole segment', () => {
    assert.equal(matches('/a/{*}/b', '/a/x/b'), true);
    assert.equal(matches('/a/{*}/b', '/a/x/y/b'), false);
    assert.equal(matches('/a/{*}', '/a/'), false);
  });

  it('{**} is any number of segments', () => {
    assert.equal(matches('/a/{**}', '/a/'), true);
    assert.equal(matches('/a/{**}', '/a/x/y'), true);
    assert.equal(matches('/a/{**}', '/a'), false);
    assert.equal(matches('/{**}/b', '/x/y/b'), true);
    assert.equal(matches('/{**}/b', '/b'), false);
  });

  it('takes its literal text literally', () => {
    assert.equal(matches('/a.b/{*}', '/a.b/x'), true);
    assert.equal(matches('/a.b/{*}', '/axb/x'), false);
  });

  it('stands for brackets only where any character counts', () => {
    assert.equal(matches('/a/{*}', '/a/[x]'), false);
    assert.equal(matches('/a/{*}', '/a/[x]', true), true);
  });

  it('is refused in every form that Envoy dies of', () => {
    const fatal = ['/{**}/{*}', '/{**}/{**}', '/a//{*}', '//{*}', '/[x]/{*}', '/a b/{*}', 'a/{*}'];
    const odd = [
      '{*}/a',
      '/é/{*}',
      '/"/{*}',
      '/a/{*}?x',
      '/a/{*}#x',
      '/{*}b',
      '/a*/{*}',
      '/{x}/{*}',
    ];
    for (const path of [...fatal, ...odd, '{**}', ''])
      assert.equal(parsePathTemplate(path, false), undefined, path);
  });

  it('may end in a slash', () => {
    assert.equal(parsePathTemplate('/a/{*}/', false)?.text, '/a/*/');
  });
});
