import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bulwark } from '../../test/kit/bulwark.ts';

describe('a command line that makes no sense', () => {
  const cases = [
    [['stauts'], /^bulwark: unknown command 'stauts'$/m],
    [['validate', '--nosuch'], /^bulwark: unknown option '--nosuch'$/m],
    [['cert', 'nosuch'], /^bulwark: unknown command 'nosuch'$/m],
  ] as const;
  for (const [args, expected] of cases) {
    it(`is refused in the words of all refusals: ${args.join(' ')}`, async (t) => {
      const child = bulwark(args);
      t.after(() => child.stop());
      await child.ended;
      assert.equal(child.exit?.code, 64);
      assert.match(child.lines.join('\n'), expected);
    });
  }
});
