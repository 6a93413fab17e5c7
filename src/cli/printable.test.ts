import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { writePrintable } from '#cli/printable.ts';
import { formatTable } from '#cli/table.ts';
import { runBulwark } from '../../test/kit/bulwark.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const HOSTILE = 'web\u001b[2J\u009b1m\u0007\rall is well';

/** What becomes of a text on its way to a stream. */
function printable(text: string): string {
  const written: string[] = [];
  const stream = { write: (chunk: string) => written.push(chunk) > 0 };
  writePrintable(stream as never);
  stream.write(text);
  return written.join('');
}

describe('what commands write', () => {
  it('does nothing to a terminal', () => {
    assert.equal(printable(HOSTILE), 'web\\u001b[2J\\u009b1m\\u0007\\u000dall is well');
  });

  it('is text as it was, with its tabs, lines and letters of all kinds', () => {
    const text = 'a\tb\r\nä 字 🙂\n';
    assert.equal(printable(text), text);
  });

  it('has no more rows and columns than there are', () => {
    assert.equal(formatTable([['web\nok\tyes', 'x']]), 'web\\u000aok\\u0009yes  x\n');
  });

  it('is passed on with everything else that a stream is given', () => {
    const seen: unknown[][] = [];
    const stream = { write: (...args: unknown[]) => seen.push(args) > 0 };
    writePrintable(stream as never);
    const done = (): void => {};
    const bytes = Buffer.from([27]);
    stream.write('\u001bc', done);
    stream.write(bytes);
    assert.deepEqual(seen, [['\\u001bc', done], [bytes]]);
  });

  it('is printable wherever it comes from', async (t) => {
    const file = join(temporaryDirectory(t), 'a.yaml');
    const kind = JSON.stringify(`Po${HOSTILE}`);
    writeFileSync(file, `apiVersion: v1\nkind: ${kind}\nmetadata: {name: x}\n`);
    const { stderr } = await runBulwark(['validate', file]);
    assert.match(stderr, /\\u001b/);
    assert.doesNotMatch(stderr, /(?!\n)\p{Cc}/u);
  });
});
