import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { listen } from './listener.ts';

function server(t: TestContext): Server {
  const made = createServer((socket) => socket.end());
  t.after(() => new Promise((resolve) => made.close(resolve)));
  return made;
}

test('a unix socket is for its owner only, and its directory is made private', async (t) => {
  const path = join(temporaryDirectory(t), 'run', 's.sock');
  await listen(server(t), { path });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('a directory that others may enter is refused', async (t) => {
  const directory = join(temporaryDirectory(t), 'open');
  mkdirSync(directory);
  chmodSync(directory, 0o750);
  const path = join(directory, 's.sock');
  await assert.rejects(listen(server(t), { path }), (error) =>
    isBulwarkError(error, 'FILES_TOO_OPEN'),
  );
  assert.equal(existsSync(path), false);
});

test('the socket that a dead server left is replaced', async (t) => {
  const path = join(temporaryDirectory(t), 's.sock');
  const dead = await import('node:child_process');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  dead.spawnSync(process.execPath, ['-e', script]);
  assert.ok(statSync(path).isSocket());
  await listen(server(t), { path });
  await new Promise((resolve, reject) =>
    connect({ path }).on('connect', resolve).on('error', reject),
  );
});

test('a socket that somebody listens on, and a file that is no socket, are left alone', async (t) => {
  const path = join(temporaryDirectory(t), 's.sock');
  await listen(server(t), { path });
  await assert.rejects(listen(server(t), { path }), (error) =>
    isBulwarkError(error, 'NET_PORT_TAKEN'),
  );
  await new Promise((resolve, reject) =>
    connect({ path }).on('connect', resolve).on('error', reject),
  );
  const file = join(path, '..', 'precious');
  writeFileSync(file, 'x');
  await assert.rejects(listen(server(t), { path: file }), (error) =>
    isBulwarkError(error, 'NET_LISTEN_FAILED'),
  );
  assert.ok(existsSync(file));
});

test('a path that no socket can have is refused with the bound', async (t) => {
  const path = join(temporaryDirectory(t), 'x'.repeat(120));
  await assert.rejects(listen(server(t), { path }), /too long/);
});
