import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { createServer } from 'node:net';
import test from 'node:test';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger, silentLogger } from '#base/log.ts';
import { echoService, serveGrpc } from '../../../test/kit/grpc-server.ts';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcCall,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
} from './grpc.ts';
import { GrpcServer } from './server.ts';

// Proves the server against the reference client of gRPC for Node.

test('a unary call and a stream are answered', async (t) => {
  const { client } = await serveGrpc(t, echoService);
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
  const { client } = await serveGrpc(t, echoService);
  const large = Buffer.alloc(3 * 1024 * 1024, 'abcdefghijk');
  const { code, messages } = await client.unary('/t.Echo/Unary', large);
  assert.equal(code, GRPC_STATUS.ok);
  assert.equal(messages[0], large.toString());
});

test('an unknown method is UNIMPLEMENTED', async (t) => {
  const { client } = await serveGrpc(t, echoService);
  assert.equal((await client.unary('/t.Echo/None', '')).code, GRPC_STATUS.unimplemented);
  assert.equal((await client.unary('/constructor', '')).code, GRPC_STATUS.unimplemented);
});

test('a handler ends its call with a status; its cause stays inside', async (t) => {
  const { client } = await serveGrpc(t, {
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
      ...echoService.streams,
    },
  };
  const { client } = await serveGrpc(t, service, { deps: { log } });
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
  const { client } = await serveGrpc(t, {
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
  const { client } = await serveGrpc(t, {
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
  const { client } = await serveGrpc(t, echoService, { options: { messageBytesMax: 1000 } });
  assert.equal((await client.unary('/t.Echo/Unary', 'x'.repeat(1000))).code, GRPC_STATUS.ok);
  const { code, details } = await client.unary('/t.Echo/Unary', 'x'.repeat(1001));
  assert.equal(code, GRPC_STATUS.resourceExhausted);
  assert.match(details, /1001 bytes is over the limit of 1000/);
});

test('closing ends streams with UNAVAILABLE, lets calls finish, and frees the port', async (t) => {
  const answer = Promise.withResolvers<Uint8Array>();
  const called = Promise.withResolvers<void>();
  const { server, client } = await serveGrpc(t, {
    ...echoService,
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
  const { server, client } = await serveGrpc(t, {
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
  const { target } = await serveGrpc(t, {
    streams: { '/t/Push': (stream) => opened.resolve(stream) },
  });
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
  const { server } = await serveGrpc(t, echoService);
  const listen = { host: '127.0.0.1', port: server.port };
  const second = new GrpcServer(
    { name: 'second', listen, services: [echoService] },
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
