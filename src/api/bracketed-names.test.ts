import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isHeaderName, nameInBrackets, namesInBrackets } from '#api/bracketed-names.ts';

describe('names in brackets', () => {
  it('one is all that stands between the outer brackets', () => {
    assert.equal(nameInBrackets('[good]'), 'good');
    assert.equal(nameInBrackets('[[good]]'), '[good]');
    assert.equal(nameInBrackets('[]'), '');
  });

  it('one needs both brackets', () => {
    for (const text of ['', '[', ']', 'bad', '[bad', 'bad]', 'a[b]', '[b]a'])
      assert.equal(nameInBrackets(text), undefined, text);
  });

  it('several follow each other', () => {
    assert.deepEqual(namesInBrackets('[good]'), ['good']);
    assert.deepEqual(namesInBrackets('[good][abc][xyz]'), ['good', 'abc', 'xyz']);
    assert.deepEqual(namesInBrackets('[]'), ['']);
    assert.deepEqual(namesInBrackets('[a][]'), ['a', '']);
  });

  it('several do not stand within each other, or with anything between them', () => {
    for (const text of ['', 'bad', '[bad', 'bad]', '[[bad]]', '[a]b[c]', '[a][b', '[a]]', '[a[b]]'])
      assert.equal(namesInBrackets(text), undefined, text);
  });

  it('a header is a token, or a pseudo-header', () => {
    for (const name of ['x-id', ':method', 'X_1']) assert.ok(isHeaderName(name), name);
    for (const name of ['', ':', 'a b', '[a]', 'a:b', 'ä']) assert.ok(!isHeaderName(name), name);
  });
});
