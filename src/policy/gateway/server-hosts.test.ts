import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servedHost } from '#policy/gateway/server-hosts.ts';

const HOSTS = ['a.example.com', '*.example.com', '*.com', '*'];

test('a name is served by itself, else by the longest wildcard, else by the one for all', () => {
  const found = ['a.example.com', 'A.Example.Com', 'b.example.com', 'example.com', 'x'].map(
    (name) => servedHost(HOSTS, name),
  );
  assert.deepEqual(found, ['a.example.com', 'a.example.com', '*.example.com', '*.com', '*']);
});

test('a wildcard stands for something, and nothing else is served', () => {
  assert.equal(servedHost(['*.example.com'], '.example.com'), undefined);
  assert.equal(servedHost(['*.example.com'], 'example.com'), undefined);
  assert.equal(servedHost(['a.example.com'], 'b.example.com'), undefined);
});
