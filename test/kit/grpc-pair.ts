// A client of gRPC and what it talks to: our server, or a server of HTTP/2 that answers anything.
import assert from 'node:assert/strict';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '#base/clock.ts';
import { GrpcClient, type GrpcClientOptions } from '#base/grpc/client.ts';
import { GrpcCallError } from '#base/grpc/client-call.ts';
import type { GrpcService } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { FakeAuthority } from '../fakes/fake-authority.ts';

/** The name in the certificate of the servers. */
export const SERVER_NAME = 'server.svc';

const authority = new FakeAuthority(systemClock);
/** A certificate of both, for servers and clients. */
export const own = authority.issue({ dnsNames: [SERVER_NAME] });

/** Whether a call ended with this status, and words like these. */
export function isStatus(status: number, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GrpcCallError, `${error}`);
    assert.equal(error.status, status);
    assert.match(error.message, text);
    return true;
  };
}

/** A client of the server at a port; ends with the test. */
export function clientOf(
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

/** A server of ours; ends with the test. */
export async function serve(t: TestContext, service: GrpcService): Promise<GrpcServer> {
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
export async function serveHttp(
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
