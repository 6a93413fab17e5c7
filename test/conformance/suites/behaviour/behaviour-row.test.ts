// Lines of the tables are read, and a line that is not understood does not take others with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRows, oldRows } from './behaviour-row.ts';

test('a line of the older table is a row', () => {
  const cells = ['T', 'one.yaml,two.yaml', 'a', 'b', 'http', '/x', 'TokenIssuer1', 'h: 1', 'deny'];
  const [line] = oldRows(`head\n${cells.join('\t')}\n`);
  assert.ok(line && 'row' in line);
  const { templates, path, token, headers, expect } = line.row;
  assert.deepEqual(templates, ['one.yaml', 'two.yaml']);
  assert.deepEqual(
    { path, token, headers },
    { path: '/x', token: 'TokenIssuer1', headers: { h: '1' } },
  );
  assert.equal(expect?.withMtls, 'deny');
});

test('a line with two expectations has both, and one with a name none', () => {
  const line = (expect: string) => oldRows(`head\nT\tf\ta\tb\thttp\t\t\t\t${expect}\n`)[0];
  const both = line('allow if mTLS else deny');
  assert.deepEqual(both && 'row' in both && both.row.expect, {
    withMtls: 'allow',
    plaintext: 'deny',
  });
  const named = line('expectAllowed');
  assert.equal(named && 'row' in named && named.row.expect, undefined);
});

test('a line that is not understood says so', () => {
  const table = 'head\nf\tT\tx.yaml\t{"odd": 1}\tTrue\nf\tT\tx.yaml\t{"path": "/a"}\tFalse\n';
  const [odd, fine] = newRows(table);
  assert.match(odd && 'problem' in odd ? odd.problem : '', /not built: requests with odd/);
  assert.equal(fine && 'row' in fine && fine.row.expect?.withMtls, 'deny');
});
