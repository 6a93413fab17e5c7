import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HeldPorts } from '#agent/envoy/held-ports.ts';
import { silentLogger } from '#base/log.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

/** A socket that listens, and connections to it that said something. */
async function heldPorts(test: TestContext) {
  const path = join(temporaryDirectory(test), 'hold.sock');
  const ports = new HeldPorts(path, { log: silentLogger });
  await ports.start();
  test.after(() => ports.close());
  const open = (line: string): Socket => {
    const socket = connect({ path });
    test.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(`${line}\n`);
    return socket;
  };
  const say = async (line: string): Promise<Socket> => {
    const socket = open(line);
    assert.equal(String(await once(socket, 'data')), 'ok\n');
    return socket.resume();
  };
  return { ports, open, say };
}

test('a port is given up when its policy goes, and held again', async (t) => {
  const { say } = await heldPorts(t);
  const held = await say('port 80');
  const other = await say('port 90');
  const before = await say('policy 80 one');
  await say('policy 90 one');
  await say('policy 80 two');
  before.destroy();
  await once(held, 'close');
  await say('port 80');
  assert.equal(other.destroyed, false);
});

test('a change that comes while nobody holds the port is not lost', async (t) => {
  const { say, open } = await heldPorts(t);
  const before = await say('policy 80 one');
  await say('policy 80 two');
  before.destroy();
  // Its answer comes first: Envoy must have called the port healthy to call it unhealthy.
  const first = open('port 80');
  let heard = '';
  first.on('data', (part) => {
    heard += String(part);
  });
  await once(first, 'close');
  assert.equal(heard, 'ok\n');
  assert.equal((await say('port 80')).destroyed, false);
});

test('what is said twice counts once', async (t) => {
  const { say } = await heldPorts(t);
  const held = await say('port 80');
  held.write('port 80\n');
  await once(held, 'data');
  const before = await say('policy 80 one');
  before.destroy();
  await once(held, 'close');
});

test('anything else is not answered', async (t) => {
  const { open } = await heldPorts(t);
  for (const line of ['', 'port', 'port x', 'port 123456', 'ports 80', 'x'.repeat(600)]) {
    const socket = open(line);
    let heard = '';
    socket.on('data', (part) => {
      heard += String(part);
    });
    await once(socket, 'close');
    assert.equal(heard, '', line);
  }
});

test('it may be started and closed again and again', async (t) => {
  const { ports, say } = await heldPorts(t);
  await Promise.all([ports.start(), ports.start()]);
  const held = await say('port 80');
  const ended = once(held, 'close');
  await ports.close();
  await ports.close();
  await ended;
});
