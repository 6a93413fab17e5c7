import assert from 'node:assert/strict';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import test from 'node:test';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { echoService, serveGrpc } from '../../../test/kit/grpc-server.ts';
import { frameMessage, GRPC_STATUS } from './grpc.ts';

// Proves that a peer which breaks the protocol harms its own calls only: raw HTTP/2, because a real
// client is too well-behaved.

/** One request in raw HTTP/2; the response's headers and trailers together, or the error. */
async function raw(target: string, headers: Record<string, string>, body: Buffer | undefined) {
  const session = connectHttp2(`http://${target}`);
  // The server's bounds count from the moment that we know them.
  await new Promise((resolve) => session.on('remoteSettings', resolve));
  return new Promise<Record<string, unknown>>((resolve) => {
    const all = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request({ ...all, ...headers });
    const answer: Record<string, unknown> = {};
    stream.on('response', (fields) => Object.assign(answer, fields));
    stream.on('trailers', (fields) => Object.assign(answer, fields));
    stream.on('error', (error) => Object.assign(answer, { error }));
    stream.on('close', () => {
      session.destroy();
      resolve(answer);
    });
    stream.resume();
    if (body) stream.write(body);
    stream.end();
  });
}

test('requests that break the protocol get a status each', async (t) => {
  const { target } = await serveGrpc(t, echoService);
  const message = frameMessage(Buffer.from('x'));
  const compressed = Buffer.from([1, 0, 0, 0, 1, 0x78]);
  const unary = { ':path': '/t.Echo/Unary' };
  const cases: readonly [string, Record<string, string>, Buffer | undefined, number][] = [
    ['no message', unary, undefined, GRPC_STATUS.internal],
    ['two messages', unary, Buffer.concat([message, message]), GRPC_STATUS.internal],
    ['half a message', unary, message.subarray(0, 5), GRPC_STATUS.internal],
    ['no gRPC at all', unary, Buffer.from('GET / HTTP/1.1'), GRPC_STATUS.internal],
    ['compressed', unary, compressed, GRPC_STATUS.unimplemented],
    ['gzip', { ...unary, 'grpc-encoding': 'gzip' }, message, GRPC_STATUS.unimplemented],
    ['bad time-out', { ...unary, 'grpc-timeout': '1h' }, message, GRPC_STATUS.invalidArgument],
  ];
  for (const [name, headers, body, status] of cases)
    assert.equal((await raw(target, headers, body))['grpc-status'], String(status), name);
  const good = await raw(target, { ...unary, 'grpc-encoding': 'identity' }, message);
  assert.equal(good['grpc-status'], '0');
});

test('requests that are not gRPC get an HTTP error', async (t) => {
  const { target } = await serveGrpc(t, echoService);
  const json = { ':path': '/t.Echo/Unary', 'content-type': 'application/json' };
  assert.equal((await raw(target, json, Buffer.from('{}')))[':status'], 415);
  assert.equal((await raw(target, { ':path': '/', ':method': 'GET' }, undefined))[':status'], 405);
});

test('a connection that hoards incomplete requests is refused more', async (t) => {
  const { target } = await serveGrpc(t, echoService);
  const session = connectHttp2(`http://${target}`);
  t.after(() => session.destroy());
  const piece = Buffer.alloc(4 * 1024 * 1024 - 10);
  piece.writeUInt32BE(4 * 1024 * 1024 - 100, 1);
  piece.writeUInt32BE(piece.length, 1);
  const statuses: unknown[] = [];
  const refused = Promise.withResolvers<void>();
  for (let count = 0; count < 6; count += 1) {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/t.Echo/Unary',
      'content-type': 'application/grpc',
    });
    stream.on('error', () => {});
    stream.on('response', (fields) => {
      statuses.push(fields['grpc-status']);
      refused.resolve();
    });
    stream.write(piece.subarray(0, piece.length - 1000));
  }
  await refused.promise;
  assert.equal(statuses[0], String(GRPC_STATUS.resourceExhausted));
});

test('headers over the limit end the request, not the server', async (t) => {
  const { target, client } = await serveGrpc(t, echoService);
  const headers = { ':path': '/t.Echo/Unary', 'x-long': 'x'.repeat(60_000) };
  const answer = await raw(target, headers, frameMessage(Buffer.from('x')));
  assert.equal(answer['grpc-status'], undefined);
  assert.equal((await client.unary('/t.Echo/Unary', 'still here')).code, GRPC_STATUS.ok);
});

test('a peer that opens and resets streams in a flood is cut off', async (t) => {
  const { target, client } = await serveGrpc(t, echoService);
  const session = connectHttp2(`http://${target}`);
  t.after(() => session.destroy());
  const closed = new Promise<void>((resolve) => session.on('close', () => resolve()));
  session.on('error', () => {});
  const flood = (): void => {
    if (session.destroyed || session.closed) return;
    for (let count = 0; count < 100; count += 1) {
      const stream = session.request({ ':method': 'POST', ':path': '/t.Echo/Unary' });
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_CANCEL);
    }
    setImmediate(flood);
  };
  flood();
  await closed;
  assert.equal((await client.unary('/t.Echo/Unary', 'still here')).code, GRPC_STATUS.ok);
});

test('bytes that are no HTTP/2 end their connection, not the server', async (t) => {
  const { target, client } = await serveGrpc(t, echoService);
  const socket = connect({ host: '127.0.0.1', port: Number(target.split(':')[1]) });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.resume();
  socket.write(Buffer.alloc(10_000, 7));
  await closed;
  assert.equal((await client.unary('/t.Echo/Unary', 'still here')).code, GRPC_STATUS.ok);
});

test('a peer that does not answer pings is cut off, one that does stays', async (t) => {
  const clock = new FakeClock();
  const { target, client } = await serveGrpc(t, echoService, { deps: { clock } });
  const socket = connect({ host: '127.0.0.1', port: Number(target.split(':')[1]) });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const pinged = Promise.withResolvers<void>();
  const PING = Buffer.from([0, 0, 8, 6, 0]);
  socket.on('data', (bytes) => {
    if (bytes.includes(PING)) pinged.resolve();
  });
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  const stream = client.stream('/t.Echo/Stream');
  stream.send('before');
  await stream.message(0);
  clock.advance(30_000);
  await pinged.promise;
  stream.send('between');
  await stream.message(1);
  clock.advance(20_000);
  await closed;
  stream.send('after');
  assert.equal(String(await stream.message(2)), 'after');
});
