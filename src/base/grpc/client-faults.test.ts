// The client of gRPC against servers that it does not believe, and answers that are no gRPC.
import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { describe, it } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { frameMessage, GRPC_STATUS, type GrpcService } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { clientOf, isStatus, serve, serveHttp } from '../../../test/kit/grpc-pair.ts';

const METHOD = '/a.B/C';
const HELLO = Buffer.from('hello');
const IN_TIME = { timeoutMs: 10_000 };

const echo: GrpcService = { unary: { [METHOD]: async (request) => request } };

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
