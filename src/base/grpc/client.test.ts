// The client of gRPC against our server.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { GrpcCallError } from '#base/grpc/client-call.ts';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import {
  clientOf,
  isStatus,
  own,
  SERVER_NAME,
  serve,
  serveHttp,
} from '../../../test/kit/grpc-pair.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const METHOD = '/a.B/C';
const HELLO = Buffer.from('hello');
const IN_TIME = { timeoutMs: 10_000 };

const echo: GrpcService = { unary: { [METHOD]: async (request) => request } };

describe('a unary call', () => {
  it('gives the response, and sends metadata and deadline', async (t) => {
    const seen: unknown[] = [];
    const { port } = await serve(t, {
      unary: {
        [METHOD]: async (request, { metadata, peer }) => {
          seen.push(metadata.authorization, metadata['grpc-timeout'], metadata[':authority']);
          seen.push(peer.verifiedCertificate);
          return request;
        },
      },
    });
    const options = { ...IN_TIME, metadata: { authorization: 'Bearer a' } };
    const answer = await clientOf(t, port).unary(METHOD, HELLO, options);
    assert.deepEqual(Buffer.from(answer), HELLO);
    assert.deepEqual(seen, ['Bearer a', '10000m', SERVER_NAME, undefined]);
  });

  it('shows the certificate of the client', async (t) => {
    let shown: Uint8Array | undefined;
    const { port } = await serve(t, {
      unary: {
        [METHOD]: async (request, { peer }) => {
          shown = peer.verifiedCertificate;
          return request;
        },
      },
    });
    const { certificatePem: chainPem, privateKeyPem } = own;
    await clientOf(t, port, { own: { chainPem, privateKeyPem } }).unary(METHOD, HELLO, IN_TIME);
    assert.ok(shown);
  });

  it('takes a message of many frames', async (t) => {
    const { port } = await serve(t, echo);
    const large = Buffer.alloc(3 * 1024 * 1024, 'x');
    assert.ok(large.equals(await clientOf(t, port).unary(METHOD, large, IN_TIME)));
  });

  it('tells status and message of a refusal', async (t) => {
    const { port } = await serve(t, {
      unary: {
        [METHOD]: async () => {
          throw new GrpcStatusError(GRPC_STATUS.permissionDenied, 'grün: 100 % nein');
        },
      },
    });
    const client = clientOf(t, port);
    const isRefusal = isStatus(GRPC_STATUS.permissionDenied, /^grün: 100 % nein$/);
    await assert.rejects(client.unary(METHOD, HELLO, IN_TIME), isRefusal);
    const isUnknown = isStatus(GRPC_STATUS.unimplemented, /method/);
    await assert.rejects(client.unary('/a.B/D', HELLO, IN_TIME), isUnknown);
  });

  it('ends when its time is over', async (t) => {
    const asked = Promise.withResolvers<void>();
    const { port } = await serveHttp(t, () => asked.resolve());
    const clock = new FakeClock();
    const call = clientOf(t, port, {}, clock).unary(METHOD, HELLO, { timeoutMs: 500 });
    await asked.promise;
    clock.advance(500);
    await assert.rejects(call, isStatus(GRPC_STATUS.deadlineExceeded, /500 ms/));
  });

  it('is unavailable without a server, also on a connection that was good before', async (t) => {
    const server = await serve(t, echo);
    const { port } = server;
    const client = clientOf(t, port);
    await client.unary(METHOD, HELLO, IN_TIME);
    await server.close();
    const isDown = isStatus(GRPC_STATUS.unavailable, /./);
    await assert.rejects(client.unary(METHOD, HELLO, IN_TIME), isDown);
    await assert.rejects(client.unary(METHOD, HELLO, IN_TIME), isDown);
  });

  it('is unavailable when the connection breaks below it', async (t) => {
    const { port } = await serveHttp(t, ({ session }) => session?.destroy());
    const call = clientOf(t, port).unary(METHOD, HELLO, IN_TIME);
    await assert.rejects(call, isStatus(GRPC_STATUS.unavailable, /./));
  });
});

describe('a stream', () => {
  async function open(t: TestContext, handler: (stream: GrpcServerStream) => void) {
    const server = await serve(t, { streams: { [METHOD]: handler } });
    const client = clientOf(t, server.port);
    const messages: string[] = [];
    const ended = Promise.withResolvers<GrpcCallError | undefined>();
    const stream = client.stream(METHOD, {
      onMessage: (message) => void messages.push(Buffer.from(message).toString()),
      onEnd: ended.resolve,
    });
    return { server, client, stream, messages, ended: ended.promise };
  }

  it('carries messages both ways until the client has no more', async (t) => {
    const { stream, messages, ended } = await open(t, (served) => {
      served.onMessage = (message) => void served.writeFrame(frameMessage(message));
      served.onEnd = () => served.end(GRPC_STATUS.ok);
    });
    stream.send(Buffer.from('a'));
    await waitUntil(() => messages.length === 1, 'the first answer');
    stream.send(Buffer.from('b'));
    stream.finish();
    assert.equal(await ended, undefined);
    assert.deepEqual(messages, ['a', 'b']);
    stream.send(HELLO);
  });

  it('tells why the server ended it', async (t) => {
    const { ended } = await open(t, (served) => served.end(GRPC_STATUS.unauthenticated, 'who?'));
    isStatus(GRPC_STATUS.unauthenticated, /^who\?$/)(await ended);
  });

  it('ends when the client wants it to, at the server too', async (t) => {
    const over = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { stream, ended } = await open(t, (served) => {
      begun.resolve();
      served.onEnd = over.resolve;
    });
    await begun.promise;
    stream.cancel();
    await ended;
    await over.promise;
  });

  it('ends with the server', async (t) => {
    const begun = Promise.withResolvers<void>();
    const { server, ended } = await open(t, () => begun.resolve());
    await begun.promise;
    await server.close();
    isStatus(GRPC_STATUS.unavailable, /./)(await ended);
  });
});

describe('a connection', () => {
  it('is shared by calls, and closed when none came for a while', async (t) => {
    const { port, server } = await serveHttp(t, (stream) => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(frameMessage(HELLO));
    });
    let opened = 0;
    let closed = 0;
    server.on('session', (session) => {
      opened += 1;
      session.on('close', () => {
        closed += 1;
      });
    });
    const clock = new FakeClock();
    const client = clientOf(t, port, { idleMs: 1000 }, clock);
    await Promise.all([1, 2, 3].map(() => client.unary(METHOD, HELLO, IN_TIME)));
    clock.advance(999);
    await client.unary(METHOD, HELLO, IN_TIME);
    assert.deepEqual([opened, closed], [1, 0]);
    await waitUntil(() => clock.waitingMs.length > 0, 'the timer of the idle connection');
    clock.advance(1000);
    await waitUntil(() => closed === 1, 'the end of the connection');
    await client.unary(METHOD, HELLO, IN_TIME);
    assert.equal(opened, 2);
  });

  it('that does not answer a ping is given up', async (t) => {
    const { port } = await serveHttp(t, () => {});
    const clock = new FakeClock();
    const keepAlive = { everyMs: 1000, answerMs: 500 };
    const ended = Promise.withResolvers<GrpcCallError | undefined>();
    const client = clientOf(t, port, { keepAlive }, clock);
    client.stream(METHOD, { onMessage: () => {}, onEnd: ended.resolve });
    await waitUntil(() => clock.waitingMs.includes(1000), 'the timer of the first ping');
    // Both in one turn, so that no answer can come between them.
    clock.advance(1000);
    clock.advance(500);
    isStatus(GRPC_STATUS.unavailable, /does not answer/)(await ended.promise);
  });
});

describe('a stream bound to its connection', () => {
  it('knows the same of it as the server, and each connection is another', async (t) => {
    const seen: string[] = [];
    const { port } = await serve(t, {
      streams: {
        [METHOD]: (stream) => {
          const { peer, metadata } = stream.call;
          seen.push(hex(peer.channelBinding), String(metadata['x-binding']));
          stream.end(GRPC_STATUS.ok);
        },
      },
    });
    for (const client of [clientOf(t, port), clientOf(t, port)]) {
      const ended = Promise.withResolvers<unknown>();
      const events = { onMessage: () => {}, onEnd: ended.resolve };
      await client.boundStream(METHOD, events, (binding) => ({ 'x-binding': hex(binding) }));
      assert.equal(await ended.promise, undefined);
    }
    const [first, sent, second, sentToo] = seen;
    assert.match(first ?? '', /^[0-9a-f]{64}$/);
    assert.deepEqual([sent, sentToo], [first, second]);
    assert.notEqual(first, second);
  });

  it('is not opened without a server', async (t) => {
    const server = await serve(t, {});
    const { port } = server;
    await server.close();
    const events = { onMessage: () => {}, onEnd: () => assert.fail('it never began') };
    const opened = clientOf(t, port).boundStream(METHOD, events, () => assert.fail('no binding'));
    await assert.rejects(opened, isStatus(GRPC_STATUS.unavailable, /./));
  });
});

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex');
}
