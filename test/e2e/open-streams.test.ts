// What becomes of streams that were let in before policy changed (gRPC, WebSocket): Envoy judges a
// stream once, when it begins. The setting openStreams says whether such a stream goes on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const DENIED = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: nobody, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/shop.Feed/Watch] } }] }] }
`);
const CALL = { ':method': 'POST', ':path': '/shop.Feed/Watch', 'content-type': 'application/grpc' };

/** An application that sends back what it gets, as long as the stream lasts. */
async function startStreamApp(t: TestContext): Promise<number> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream) => {
    stream.on('error', () => stream.destroy());
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.pipe(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function startWorld(t: TestContext, openStreams: 'keep' | 'end') {
  const service = serviceObjects('shop', 'feed', [{ name: 'grpc', port: 80 }]);
  const mesh = new ExplicitMesh(testMesh(service, { openStreams }), testAuthority());
  const grpc = await startStreamApp(t);
  const feed = await mesh.start(t, { namespace: 'shop', name: 'feed', ports: { grpc } });
  const open = (): ClientHttp2Session => {
    const session = connect(`http://127.0.0.1:${feed.listenPort('grpc')}`);
    session.on('error', () => session.destroy());
    t.after(() => session.destroy());
    return session;
  };
  const put = (...objects: typeof DENIED): void => {
    mesh.mesh.put(...objects);
    mesh.publish();
  };
  return { open, put };
}

/** A stream that the application takes part in. */
async function openStream(session: ClientHttp2Session): Promise<ClientHttp2Stream> {
  const stream = session.request(CALL);
  stream.on('error', () => stream.destroy());
  assert.equal(await echo(stream), 'hello');
  return stream;
}

async function echo(stream: ClientHttp2Stream): Promise<string> {
  stream.write('hello');
  const [chunk] = (await once(stream, 'data')) as [Buffer];
  return chunk.toString();
}

/** How a new stream on a connection ends: a status of gRPC, or `open`. */
async function newStream(session: ClientHttp2Session): Promise<string> {
  const stream = session.request(CALL);
  stream.on('error', () => stream.destroy());
  stream.write('hello');
  const [headers] = await once(stream, 'response');
  stream.close();
  return headers['grpc-status'] ?? 'open';
}

test('a stream goes on as it was let in; the next one on its connection is refused', async (t) => {
  const { open, put } = await startWorld(t, 'keep');
  const session = open();
  const stream = await openStream(session);
  put(...DENIED);
  await waitUntil(async () => (await newStream(session)) === '7', 'new streams are refused');
  assert.equal(await echo(stream), 'hello');
});

test('with openStreams "end" a stream ends when policy changes', async (t) => {
  const { open, put } = await startWorld(t, 'end');
  const stream = await openStream(open());
  const ended = once(stream, 'close');
  put(...DENIED);
  await ended;
  await waitUntil(async () => (await newStream(open())) === '7', 'new streams are refused');
});
