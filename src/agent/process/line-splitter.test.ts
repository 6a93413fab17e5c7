import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LineSplitter } from '#agent/process/line-splitter.ts';

/** The lines (and `<dropped>`) that a splitter makes of chunks. */
function split(chunks: readonly string[], lineBytesMax = 10): readonly string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter({
    lineBytesMax,
    onLine: (line) => lines.push(line),
    onDropped: () => lines.push('<dropped>'),
  });
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.end();
  return lines;
}

describe('lines of a process', () => {
  it('are whole however the bytes arrive', () => {
    assert.deepEqual(split(['a', 'b\nc', '\n\nd']), ['ab', 'c', '', 'd']);
    assert.deepEqual(split([]), []);
  });

  it('over the limit are dropped, counted once, and the next one is whole again', () => {
    assert.deepEqual(split(['0123456789', 'abcdef', 'x\nnext\n']), ['<dropped>', 'next']);
    assert.deepEqual(split(['0123456789\n']), ['0123456789']);
  });
});
