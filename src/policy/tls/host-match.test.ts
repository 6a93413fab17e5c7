// Patterns of hosts: what they cover, and which is the narrower one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostCovers, narrowerFirst } from '#policy/tls/host-match.ts';

test('a pattern covers hosts that end as it does, and narrower patterns', () => {
  const covered = [
    ['*', 'a.example.com'],
    ['*.example.com', 'a.b.example.com'],
    ['*example.com', 'example.com'],
    ['*.com', '*.example.com'],
    ['example.com', 'example.com'],
  ] as const;
  for (const [pattern, host] of covered) assert.equal(hostCovers(pattern, host), true, pattern);
  const others = [
    ['*.example.com', 'example.com'],
    ['*.example.com', '*.com'],
    ['example.com', '*.example.com'],
    ['example.com', 'a.example.com'],
  ] as const;
  for (const [pattern, host] of others) assert.equal(hostCovers(pattern, host), false, pattern);
});

test('the order of patterns is that of what they cover, then of letters', () => {
  const sorted = ['a.b.com', 'bb.com', 'cc.com', '*.long.com', '*.b.com', '*'];
  assert.deepEqual(sorted.toReversed().toSorted(narrowerFirst), sorted);
});
