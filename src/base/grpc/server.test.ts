import assert from 'node:assert/strict';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, createServer } from 'node:net';
import test, { type TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger, silentLogger } from '#base/log.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { GrpcTestClient } from '../../../test/kit/grpc-client.ts';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
} from './grpc.ts';
import { GrpcServer, type GrpcServerDeps, type GrpcServerOptions } from './server.ts';

// Proves the server against the reference client of gRPC for Node, and against raw HTTP/2 where
// that client is too well-behaved.

interface Extra {
  readonly options?: Partial<GrpcServerOptions>;
  readonly deps?: Partial<GrpcServerDeps>;
}

async function serve(t: TestContext, service: GrpcService, { options, deps }: Extra = {}) {
  const server = new GrpcServer(
    {
      name: 'test',
      listen: { host: '127.0.0.1', port: 0 },
      services: [service],
      closeTimeoutMs: 200,
      ...options,
    },
    { log: silentLogger, clock: systemClock, ...deps },
  );
  t.after(() => server.close());
  await server.start();
  const target = `127.0.0.1:${server.port}`;
  return { server, target, client: new GrpcTestClient(t, target) };
}

const echo: GrpcService = {
  unary: { '/t.Echo/Unary': async (request) => request },
  streams: {
    '/t.Echo/Stream': (stream) => {
      stream.onMessage = (message) => void stream.writeFrame(frameMessage(message));
      stream.onEnd = () => stream.end(GRPC_STATUS.ok);
    },
  },
};

test('a unary call and a stream are answered', async (t) => {
  const { client } = await serve(t, echo);
  const ok = { code: GRPC_STATUS.ok, details: '' };
  assert.deepEqual(await client.unary('/t.Echo/Unary', 'hi'), { ...ok, messages: ['hi'] });
  assert.deepEqual(await client.unary('/t.Echo/Unary', ''), { ...ok, messages: [''] });
  const stream = client.stream('/t.Echo/Stream');
  stream.send('one');
  await stream.message(0);
  stream.send('two');
  stream.finish();
  assert.deepEqual(await stream.outcome, { ...ok, messages: ['one', 'two'] });
});

test('large messages come through whole in both directions', async (t) => {
  const { client } = await serve(t, echo);
  const large = Buffer.alloc(3 * 1024 * 1024, 'abcdefghijk');
  const { code, messages } = await client.unary('/t.Echo/Unary', large);
  assert.equal(code, GRPC_STATUS.ok);
  assert.equal(messages[0], large.toString());
});

test('an unknown method is UNIMPLEMENTED', async (t) => {
  const { client } = await serve(t, echo);
  assert.equal((await client.unary('/t.Echo/None', '')).code, GRPC_STATUS.unimplemented);
  assert.equal((await client.unary('/constructor', '')).code, GRPC_STATUS.unimplemented);
});

test('a handler ends its call with a status; its cause stays inside', async (t) => {
  const { client } = await serve(t, {
    unary: {
      '/t/Refuse': async () => {
        throw new GrpcStatusError(GRPC_STATUS.permissionDenied, 'not you: ü', new Error('why'));
      },
    },
  });
  const outcome = await client.unary('/t/Refuse', '');
  assert.deepEqual(outcome, {
    code: GRPC_STATUS.permissionDenied,
    details: 'not you: ü',
    messages: [],
  });
});

test('what a handler throws is opaque outside, whole in the log, and harms no other call', async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => void lines.push(line) } });
  let calls = 0;
  const service: GrpcService = {
    unary: {
      '/t/Async': async () => {
        throw new Error('the disk is on fire');
      },
      '/t/Sync': () => {
        throw new Error('the lamp is broken');
      },
    },
    streams: {
      '/t/OnOpen': () => {
        throw new Error('the door is shut');
      },
      '/t/OnMessage': (stream) => {
        stream.onMessage = () => {
          throw new Error('the letter is wet');
        };
        stream.onEnd = () => {
          calls += 1;
          throw new Error('the end is near');
        };
      },
      ...echo.streams,
    },
  };
  const { client } = await serve(t, service, { deps: { log } });
  const unharmed = client.stream('/t.Echo/Stream');
  unharmed.send('before');
  await unharmed.message(0);
  const internal = { code: GRPC_STATUS.internal, details: 'internal error', messages: [] };
  assert.deepEqual(await client.unary('/t/Async', ''), internal);
  assert.deepEqual(await client.unary('/t/Sync', ''), internal);
  for (const path of ['/t/OnOpen', '/t/OnMessage']) {
    const stream = client.stream(path);
    stream.send('x');
    assert.deepEqual(await stream.outcome, internal);
  }
  unharmed.send('after');
  assert.equal(String(await unharmed.message(1)), 'after');
  for (const reason of ['on fire', 'is broken', 'is shut', 'is wet'])
    assert.ok(
      lines.some((line) => line.includes(reason)),
      reason,
    );
  assert.equal(calls, 1);
});

test('a call ends at its deadline and its handler is told', async (t) => {
  const aborted = Promise.withResolvers<void>();
  const { client } = await serve(t, {
    unary: {
      '/t/Slow': (_request, call) => {
        call.signal.addEventListener('abort', () => aborted.resolve());
        return new Promise(() => {});
      },
    },
  });
  const { code } = await client.unary('/t/Slow', '', { timeoutMs: 30 });
  assert.equal(code, GRPC_STATUS.deadlineExceeded);
  await aborted.promise;
});

test('a client that goes away aborts its calls', async (t) => {
  const aborted = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const { client } = await serve(t, {
    streams: {
      '/t/Wait': (stream) => {
        stream.onMessage = (message) => void stream.writeFrame(frameMessage(message));
        stream.onEnd = () => ended.resolve();
        stream.call.signal.addEventListener('abort', () => aborted.resolve());
      },
    },
  });
  const stream = client.stream('/t/Wait');
  stream.send('x');
  await stream.message(0);
  stream.cancel();
  await Promise.all([aborted.promise, ended.promise]);
});

test('a request message over the limit is RESOURCE_EXHAUSTED, one at the limit passes', async (t) => {
  const { client } = await serve(t, echo, { options: { messageBytesMax: 1000 } });
  assert.equal((await client.unary('/t.Echo/Unary', 'x'.repeat(1000))).code, GRPC_STATUS.ok);
  const { code, details } = await client.unary('/t.Echo/Unary', 'x'.repeat(1001));
  assert.equal(code, GRPC_STATUS.resourceExhausted);
  assert.match(details, /1001 bytes is over the limit of 1000/);
});

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
  const { target } = await serve(t, echo);
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
  const { target } = await serve(t, echo);
  const json = { ':path': '/t.Echo/Unary', 'content-type': 'application/json' };
  assert.equal((await raw(target, json, Buffer.from('{}')))[':status'], 415);
  assert.equal((await raw(target, { ':path': '/', ':method': 'GET' }, undefined))[':status'], 405);
});

test('a connection that hoards incomplete requests is refused more', async (t) => {
  const { target } = await serve(t, echo);
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
  const { target, client } = await serve(t, echo);
  const headers = { ':path': '/t.Echo/Unary', 'x-long': 'x'.repeat(60_000) };
  const answer = await raw(target, headers, frameMessage(Buffer.from('x')));
  assert.equal(answer['grpc-status'], undefined);
  assert.equal((await client.unary('/t.Echo/Unary', 'still here')).code, GRPC_STATUS.ok);
});

test('a peer that opens and resets streams in a flood is cut off', async (t) => {
  const { target, client } = await serve(t, echo);
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
  const { target, client } = await serve(t, echo);
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
  const { target, client } = await serve(t, echo, { deps: { clock } });
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

test('closing ends streams with UNAVAILABLE, lets calls finish, and frees the port', async (t) => {
  const answer = Promise.withResolvers<Uint8Array>();
  const called = Promise.withResolvers<void>();
  const { server, client } = await serve(t, {
    ...echo,
    unary: {
      '/t/Later': () => {
        called.resolve();
        return answer.promise;
      },
    },
  });
  const stream = client.stream('/t.Echo/Stream');
  stream.send('x');
  await stream.message(0);
  const call = client.unary('/t/Later', '');
  await called.promise;
  const { port } = server;
  const closed = server.close();
  assert.equal((await stream.outcome).code, GRPC_STATUS.unavailable);
  answer.resolve(Buffer.from('late'));
  assert.deepEqual((await call).messages, ['late']);
  await closed;
  const next = createServer().listen(port, '127.0.0.1');
  t.after(() => next.close());
  await new Promise((resolve, reject) => next.on('listening', resolve).on('error', reject));
});

test('closing does not wait longer than its bound', async (t) => {
  const seen = Promise.withResolvers<GrpcCall>();
  const { server, client } = await serve(t, {
    unary: {
      '/t/Never': (_request, call) => {
        seen.resolve(call);
        return new Promise(() => {});
      },
    },
  });
  const outcome = client.unary('/t/Never', '');
  const call = await seen.promise;
  await server.close();
  assert.equal(call.signal.aborted, true);
  assert.notEqual((await outcome).code, GRPC_STATUS.ok);
});

test('a stream tells when its peer does not read, and when it catches up', async (t) => {
  const opened = Promise.withResolvers<GrpcServerStream>();
  const { target } = await serve(t, { streams: { '/t/Push': (stream) => opened.resolve(stream) } });
  const session = connectHttp2(`http://${target}`);
  t.after(() => session.destroy());
  const reader = session.request({
    ':method': 'POST',
    ':path': '/t/Push',
    'content-type': 'application/grpc',
  });
  reader.on('error', () => {});
  const stream = await opened.promise;
  assert.equal(stream.unsentBytes, 0);
  const frame = frameMessage(Buffer.alloc(1024 * 1024));
  assert.equal(stream.writeFrame(frame), false);
  assert.ok(stream.unsentBytes > 0);
  reader.resume();
  await stream.drained();
  assert.equal(stream.unsentBytes, 0);
  reader.pause();
  for (let count = 0; count < 4; count += 1) stream.writeFrame(frame);
  const ended = new Promise<void>((resolve) => {
    stream.onEnd = resolve;
  });
  stream.reset();
  await ended;
  assert.equal(stream.call.signal.aborted, true);
});

test('a taken port is an error that names it and the way out', async (t) => {
  const { server } = await serve(t, echo);
  const listen = { host: '127.0.0.1', port: server.port };
  const second = new GrpcServer(
    { name: 'second', listen, services: [echo] },
    { log: silentLogger, clock: systemClock },
  );
  await assert.rejects(second.start(), (error: unknown) => {
    assert.ok(isBulwarkError(error, 'NET_PORT_TAKEN'));
    assert.match(error.message, new RegExp(`port ${server.port} on 127.0.0.1`));
    assert.match(error.remedy ?? '', /another port/);
    return true;
  });
  await second.close();
});

test('an address that is not ours is an error', async () => {
  const server = new GrpcServer(
    { name: 'x', listen: { host: '192.0.2.1', port: 0 }, services: [] },
    { log: silentLogger, clock: systemClock },
  );
  await assert.rejects(server.start(), (error) => isBulwarkError(error, 'NET_LISTEN_FAILED'));
  await server.close();
});
