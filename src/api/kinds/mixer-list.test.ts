// What a list that was fetched may be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { type ListEntryType, readList } from './mixer-list.ts';

const entries = (content: string, type: ListEntryType, wanted: readonly string[]) =>
  assert.deepEqual(readList(content, type), { entries: wanted });
const unusable = (content: string, type: ListEntryType, problem: RegExp) => {
  const read = readList(content, type);
  assert.ok('problem' in read, JSON.stringify(read));
  assert.match(read.problem, problem);
};

test('an entry is a line, as it is written', () => {
  entries('a\n b \r\n\na\n', 'STRINGS', ['a', ' b ']);
  entries('^a+$\n.*b', 'REGEX', ['^a+$', '.*b']);
  entries('', 'STRINGS', []);
});

test('addresses are lines, or a list of YAML', () => {
  entries('10.0.0.1\n10.1.0.0/16\n', 'IP_ADDRESSES', ['10.0.0.1', '10.1.0.0/16']);
  const yaml =
    '---\nwhitelist: # of the office\n- 10.0.0.1\n  - "10.1.0.0/16" # b\n\n- \'fd00::/8\'\n';
  entries(yaml, 'IP_ADDRESSES', ['10.0.0.1', '10.1.0.0/16', 'fd00::/8']);
});

test('an entry that means nothing makes the whole unusable', () => {
  unusable('10.0.0.1\nnot an address\n', 'IP_ADDRESSES', /"not an address" in it must be an IP/);
  unusable('<html>down for maintenance</html>', 'IP_ADDRESSES', /must be an IP/);
  unusable('a\n(\n', 'REGEX', /RE2/);
  unusable('(?=a)', 'REGEX', /RE2/);
  unusable('x'.repeat(2049), 'STRINGS', /at most 2048/);
});

test('a list that is too long is not taken in part', () => {
  const { mixerListEntriesMax: max } = LIMITS;
  const list = (length: number) => Array.from({ length }, (_, at) => `n${at}`).join('\n');
  assert.ok('entries' in readList(list(max), 'STRINGS'));
  unusable(list(max + 1), 'STRINGS', /more than 10000 entries/);
  unusable(list(LIMITS.mixerListPatternsMax + 1), 'REGEX', /more than 1000 entries/);
});
