// npm run format wraps comments that are too long, and leaves everything else alone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { wrapComments } from '../../tools/lint/wrap-comments.ts';

const long = 'word '.repeat(30).trim();

describe('wrapping comments', () => {
  test('breaks a line comment and a block comment that are too long', () => {
    for (const text of [`  // ${long}\n`, `/**\n * ${long}\n */\n`]) {
      const wrapped = wrapComments(text);
      assert.ok(
        wrapped.split('\n').every((line) => line.length <= 100),
        wrapped,
      );
      assert.equal(wrapped.match(/word/g)?.length, 30);
    }
    assert.match(wrapComments(`  // ${long}`), /^( {2}\/\/ (word ?)+(\n|$)){2}$/);
  });

  test('opens a one-line doc comment that is too long', () => {
    const wrapped = wrapComments(`  /** ${long} */\n  a: string;\n`);
    assert.match(wrapped, /^ {2}\/\*\*\n( {3}\* word[ word]*\n)+ {3}\*\/\n {2}a: string;\n$/);
  });

  test('moves what does not fit into the rest of its paragraph', () => {
    const wrapped = wrapComments(`// ${long}\n// tail\n`);
    assert.equal(wrapped.split('\n').length, 3);
    assert.match(wrapped, /word tail\n$/);
  });

  test('keeps paragraphs, tags and lists apart', () => {
    const text = `/**\n * ${long}\n *\n * next\n * @param x ${long}\n * - item\n */\n`;
    const wrapped = wrapComments(text);
    assert.match(wrapped, /\n \*\n \* next\n \* @param x word/);
    assert.match(wrapped, /\n \* - item\n \*\/\n$/);
  });

  test('leaves text that fits, code, comments behind code and tables alone', () => {
    const kept = [
      `// short\n// lines of\n// one paragraph\n`,
      `const a = '${long}';\n`,
      `call(); // ${long}\n`,
      ` * | ${long} |\n`,
      `// https://example.com/${'a'.repeat(120)}\n`,
    ];
    for (const text of kept) assert.equal(wrapComments(text), text);
  });

  test('changes nothing the second time', () => {
    const once = wrapComments(`/** ${long} */\n// ${long}\n// tail\n`);
    assert.equal(wrapComments(once), once);
  });
});
