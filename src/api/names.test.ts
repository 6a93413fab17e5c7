// Names as RFC 1123 and Kubernetes want them: what is accepted, and each way to be refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  configKeyProblems,
  labelProblems,
  labelValueProblems,
  objectNameProblems,
  qualifiedNameProblems,
  subdomainProblems,
} from '#api/names.ts';

type Check = (name: string) => string[];

function takes(check: Check, names: readonly string[]): void {
  for (const name of names) assert.deepEqual(check(name), [], name);
}

function refuses(check: Check, cases: Readonly<Record<string, RegExp>>): void {
  for (const [name, pattern] of Object.entries(cases)) {
    assert.match(check(name).join('; '), pattern, name);
  }
}

describe('names', () => {
  test('a label is lower case, without dots, at most 63 long', () => {
    takes(labelProblems, ['a', 'photo-ns', '0a', 'a'.repeat(63)]);
    refuses(labelProblems, {
      '': /lowercase RFC 1123 label/,
      'a.b': /^must not contain dots$/,
      Photo: /lowercase RFC 1123 label/,
      '-a': /lowercase RFC 1123 label/,
      'a-': /lowercase RFC 1123 label/,
      a_b: /lowercase RFC 1123 label/,
      ['a'.repeat(64)]: /^must be no more than 63 bytes$/,
      'a\n': /lowercase RFC 1123 label/,
    });
  });

  test('a subdomain is labels with dots between, at most 253 long', () => {
    takes(subdomainProblems, ['a', 'a.b.c', 'a-b.c-d', 'a'.repeat(253)]);
    refuses(subdomainProblems, {
      'a..b': /lowercase RFC 1123 subdomain/,
      'a.': /lowercase RFC 1123 subdomain/,
      'A.b': /lowercase RFC 1123 subdomain/,
      ['a'.repeat(254)]: /^must be no more than 253 characters$/,
    });
  });

  test('the kind decides which of them an object name must be', () => {
    assert.deepEqual(objectNameProblems('a.b', 'subdomain'), []);
    assert.deepEqual(objectNameProblems('a.b', 'label'), ['must not contain dots']);
  });

  test('a qualified name has one slash at most, a domain before it', () => {
    takes(qualifiedNameProblems, ['app', 'App_1.x', 'example.com/App', 'k8s.io/a'.toLowerCase()]);
    refuses(qualifiedNameProblems, {
      'a/b/c': /a valid label key .* optional DNS subdomain prefix/,
      '/b': /prefix part must be non-empty/,
      'A_/b': /prefix part a lowercase RFC 1123 subdomain/,
      'a/': /name part must be non-empty/,
      'a b': /name part must consist of/,
      ['n'.repeat(64)]: /name part must be no more than 63 bytes/,
    });
  });

  test('a label value may be empty', () => {
    takes(labelValueProblems, ['', 'v1', 'MyValue_1.0']);
    refuses(labelValueProblems, {
      'b c': /a valid label must be an empty string or/,
      '-v': /a valid label must be/,
      ['x'.repeat(64)]: /must be no more than 63 bytes/,
    });
  });

  test('a config key is a file name', () => {
    takes(configKeyProblems, ['tls.crt', '.dockerconfigjson', 'KEY_1', '__proto__']);
    refuses(configKeyProblems, {
      'a/b': /a valid config key/,
      '': /a valid config key/,
      '.': /must not be '\.'/,
      '..': /must not be '\.\.'/,
      '..a': /must not start with/,
      ['k'.repeat(254)]: /no more than 253/,
    });
  });
});
