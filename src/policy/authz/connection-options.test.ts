import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionOptions } from '#policy/authz/connection-options.ts';

test('headers for the connection alone are named in any letter case, on any line', () => {
  const headers = { Connection: ['X-Role, close', ' keep-alive'], 'x-role': 'admin' };
  assert.deepEqual(connectionOptions(headers), ['x-role', 'close', 'keep-alive']);
  assert.deepEqual(connectionOptions({ 'x-role': 'admin' }), []);
});

test('an upgrade takes nothing away', () => {
  const headers = { connection: 'Upgrade, x-role', upgrade: 'websocket', 'x-role': 'admin' };
  assert.deepEqual(connectionOptions(headers), []);
  assert.deepEqual(connectionOptions({ connection: 'upgrade' }), ['upgrade']);
});

test('what proxies write cannot be taken away', () => {
  assert.equal(connectionOptions({ connection: 'X-Forwarded-For' }), undefined);
  assert.equal(connectionOptions({ connection: ':path' }), undefined);
});
