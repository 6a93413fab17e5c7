import type { TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { frameMessage, GRPC_STATUS, type GrpcService } from '#base/grpc/grpc.ts';
import { GrpcServer, type GrpcServerDeps, type GrpcServerOptions } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { GrpcTestClient } from './grpc-client.ts';

export interface ServeExtra {
  readonly options?: Partial<GrpcServerOptions>;
  readonly deps?: Partial<GrpcServerDeps>;
}

/** A plaintext server of one service on a free port, with a client; both end with the test. */
export async function serveGrpc(
  t: Pick<TestContext, 'after'>,
  service: GrpcService,
  { options, deps }: ServeExtra = {},
) {
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

/** Sends back whatever it gets: `/t.Echo/Unary` and `/t.Echo/Stream`. */
export const echoService: GrpcService = {
  unary: { '/t.Echo/Unary': async (request) => request },
  streams: {
    '/t.Echo/Stream': (stream) => {
      stream.onMessage = (message) => void stream.writeFrame(frameMessage(message));
      stream.onEnd = () => stream.end(GRPC_STATUS.ok);
    },
  },
};
