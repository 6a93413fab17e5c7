// The client of gRPC against our server, and against servers that are none.
import assert from 'node:assert/strict';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type Clock, systemClock } from '#base/clock.ts';
import { GrpcClient, type GrpcClientOptions } from '#base/grpc/client.ts';
import { GrpcCallError } from '#base/grpc/client-call.ts';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcServerStream,
  type GrpcService,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const SERVER_NAME = 'server.svc';
const METHOD = '/a.B/C';
const HELLO = Buffer.from('hello');
const IN_TIME = { timeoutMs: 10_000 };

const authority = new FakeAuthority(systemClock);
const own = authority.issue({ dnsNames: [SERVER_NAME] });

function isStatus(status: number, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GrpcCallError, `${error}`);
    assert.equal(error.status, status);
    assert.match(error.message, text);
    return true;
  };
}

function clientOf(
  t: TestContext,
  port: number,
  changes: Partial<GrpcClientOptions> = {},
  clock: Clock = systemClock,
): GrpcClient {
  const address = `127.0.0.1:${port}`;
  const options = { address, serverName: SERVER_NAME, rootPem: authority.rootPem, ...changes };
  const client = new GrpcClient(options, { clock });
  t.after(() => client.close());
  return client;
}

async function serve(t: TestContext, service: GrpcService): Promise<GrpcServer> {
  const server = new GrpcServer(
    {
      name: 'test',
      listen: { host: '127.0.0.1', port: 0 },
      tls: {
        privateKeyPem: own.privateKeyPem,
        certificateChainPem: own.certificatePem,
        clientCaPem: authority.rootPem,
      },
      services: [service],
      closeTimeoutMs: 100,
    },
    { log: silentLogger, clock: systemClock },
  );
  t.after(() => server.close());
  await server.start();
  return server;
}

/** A server that speaks HTTP/2 and answers as it is told. */
async function serveHttp(
  t: TestContext,
  answer: (stream: ServerHttp2Stream) => void,
): Promise<{ readonly port: number; readonly server: Http2SecureServer }> {
  const server = createSecureServer({ key: own.privateKeyPem.reveal(), cert: own.certificatePem });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server };
}

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

describe('a server that is not believed', () => {
  it('is one that another root has signed', async (t) => {
    const { port } = await serve(t, echo);
    const client = clientOf(t, port, { rootPem: new FakeAuthority(systemClock).rootPem });
    const isForeign = isStatus(GRPC_STATUS.unavailable, /certificate|self.signed|issuer/i);
    await assert.rejects(client.unary(METHOD, HELLO, IN_TIME), isForeign);
  });

  it('is one of another name', async (t) => {
    const { port } = await serve(t, echo);
    const client = clientOf(t, port, { serverName: 'other.svc' });
    const isOther = isStatus(GRPC_STATUS.unavailable, /altnames/);
    await assert.rejects(client.unary(METHOD, HELLO, IN_TIME), isOther);
  });
});

describe('an answer that is no gRPC', () => {
  const cases: readonly [string, (stream: ServerHttp2Stream) => void, number, RegExp][] = [
    [
      'a page',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'text/html' });
        stream.end('<html>');
      },
      GRPC_STATUS.unknown,
      /HTTP 200/,
    ],
    [
      'a proxy whose server is away',
      (stream) => stream.respond({ ':status': 503 }, { endStream: true }),
      GRPC_STATUS.unavailable,
      /HTTP 503/,
    ],
    [
      'an end without a status',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.end(frameMessage(HELLO));
      },
      GRPC_STATUS.unavailable,
      /ended before/,
    ],
    [
      'a status that is none',
      (stream) =>
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': 'x' },
          { endStream: true },
        ),
      GRPC_STATUS.unknown,
      /^$/,
    ],
    [
      'a message that is too long',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        const head = frameMessage(HELLO);
        head.writeUInt32BE(LIMITS.grpcMessageBytesMax + 1, 1);
        stream.write(head);
      },
      GRPC_STATUS.resourceExhausted,
      /over the limit/,
    ],
    [
      'no message at all',
      (stream) =>
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' },
          { endStream: true },
        ),
      GRPC_STATUS.internal,
      /no message/,
    ],
  ];
  for (const [name, answer, status, text] of cases) {
    it(`fails: ${name}`, async (t) => {
      const { port } = await serveHttp(t, answer);
      const call = clientOf(t, port).unary(METHOD, HELLO, IN_TIME);
      await assert.rejects(call, isStatus(status, text));
    });
  }
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
