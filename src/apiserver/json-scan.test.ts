import assert from 'node:assert/strict';
import { it } from 'node:test';
import { scanJson } from '#apiserver/json-scan.ts';

const duplicates = (text: string): readonly string[] => scanJson(text, 100).duplicates;

it('finds fields that stand twice in the same object, at any depth, each once', () => {
  assert.deepEqual(duplicates('{"a":1,"b":{"a":2}}'), []);
  assert.deepEqual(duplicates('{"a":1,"a":2,"a":3}'), ['a']);
  assert.deepEqual(duplicates('{"data":{"x":1,"x":2},"l":[{"p":1},{"q":1,"q":2}]}'), [
    'data.x',
    'l[1].q',
  ]);
});

it('is not misled by what stands in strings', () => {
  assert.deepEqual(duplicates('{"a":"{\\"b\\":1,\\"b\\":2}","c":"[[[","d":"\\\\"}'), []);
  assert.deepEqual(duplicates('{"a":["x","x"],"b":"a"}'), []);
});

it('compares names as they are meant, not as they are written', () => {
  assert.deepEqual(duplicates('{"a":1,"\\u0061":2}'), ['a']);
});

it('tells a text that is too deep, without walking into it', () => {
  assert.equal(scanJson('[[[]]]', 3).tooDeep, false);
  assert.equal(scanJson('[[[[]]]]', 3).tooDeep, true);
  assert.equal(scanJson('['.repeat(1_000_000), 100).tooDeep, true);
  assert.equal(scanJson('{"a":'.repeat(101), 100).tooDeep, true);
});

it('ends on texts that are no JSON', () => {
  for (const text of ['', '"', '{"a', '}}}]]]', '{,,,}', '\\']) scanJson(text, 10);
});
