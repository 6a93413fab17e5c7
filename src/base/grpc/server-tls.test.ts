import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import test, { type TestContext } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { credentials } from '@grpc/grpc-js';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { GrpcTestClient } from '../../../test/kit/grpc-client.ts';
import { type TestCertificate, testAuthority } from '../../../test/kit/test-authority.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';
import { frameMessage, GRPC_STATUS, type GrpcService } from './grpc.ts';
import { GrpcServer, type GrpcTlsOptions } from './server.ts';

const SERVER_NAME = 'istiod.istio-system.svc';
const WORKLOAD = { uris: ['spiffe://cluster.local/ns/a/sa/b'] };

/** Answers with the URI names of the client's certificate as the server knows it. */
const whoami: GrpcService = {
  unary: {
    '/t/WhoAmI': async (_request, { peer }) => {
      const der = peer.verifiedCertificate;
      const names = der && new X509Certificate(der).subjectAltName;
      return Buffer.from(names ?? 'nobody');
    },
  },
  streams: {
    '/t/Refuse': (stream) => {
      stream.onMessage = () => stream.end(GRPC_STATUS.unauthenticated, 'authentication failure');
    },
    '/t/Hold': (stream) => {
      stream.onMessage = () => void stream.writeFrame(frameMessage(Buffer.from('held')));
    },
  },
};

function tlsOf(server: TestCertificate, clientCaPem: string): GrpcTlsOptions {
  return {
    privateKeyPem: new Secret(server.privateKey),
    certificateChainPem: server.certificate,
    clientCaPem,
  };
}

async function serve(t: TestContext, clock = systemClock) {
  const authority = testAuthority();
  const tls = tlsOf(authority.issue({ dnsNames: [SERVER_NAME] }), authority.root);
  const server = new GrpcServer(
    {
      name: 'test',
      listen: { host: '127.0.0.1', port: 0 },
      tls,
      services: [whoami],
      keepAliveMs: 1e9,
      closeTimeoutMs: 5000,
    },
    { log: silentLogger, clock },
  );
  t.after(() => server.close());
  await server.start();
  const client = (root: string, own?: TestCertificate): GrpcTestClient =>
    new GrpcTestClient(
      t,
      `127.0.0.1:${server.port}`,
      credentials.createSsl(
        Buffer.from(root),
        own ? Buffer.from(own.privateKey) : null,
        own ? Buffer.from(own.certificate) : null,
      ),
      { 'grpc.ssl_target_name_override': SERVER_NAME },
    );
  return { authority, server, client };
}

/** A bare TLS connection, once the handshake is done in both directions; rejects when it fails. */
function handshake(server: GrpcServer, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: server.port, servername: SERVER_NAME };
    const socket = connect({ ...to, ALPNProtocols: ['h2'], ...options });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
    // The first bytes of the server (its settings) come after it accepted the handshake.
    socket.once('data', () => resolve(socket));
  });
}

test('a verified client certificate reaches the handler', async (t) => {
  const { authority, client } = await serve(t);
  const outcome = await client(authority.root, authority.issue(WORKLOAD)).unary('/t/WhoAmI', '');
  assert.deepEqual(outcome.messages, [`URI:${WORKLOAD.uris[0]}`]);
});

test('no certificate, or one of a foreign authority, is nobody', async (t) => {
  const { authority, client } = await serve(t);
  const foreign = testAuthority('foreign').issue(WORKLOAD);
  const posing = testAuthority().issue(WORKLOAD);
  for (const own of [undefined, foreign, posing]) {
    const outcome = await client(authority.root, own).unary('/t/WhoAmI', '');
    assert.deepEqual(outcome.messages, ['nobody']);
  }
});

test('TLS 1.2 and 1.3 are spoken, older versions are not', async (t) => {
  const { authority, server } = await serve(t);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { ca: authority.root, minVersion: version, maxVersion: version };
    const socket = await handshake(server, options);
    assert.equal(socket.getProtocol(), version);
    socket.destroy();
  }
  const old = {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  } as const;
  await assert.rejects(handshake(server, { ca: authority.root, ...old }));
});

test('only HTTP/2 is agreed on', async (t) => {
  const { authority, server, client } = await serve(t);
  const http1 = { ca: authority.root, ALPNProtocols: ['http/1.1'] };
  await assert.rejects(handshake(server, http1));
  await assert.rejects(handshake(server, { ca: authority.root, ALPNProtocols: [] }));
  const plain = connectPlain({ host: '127.0.0.1', port: server.port });
  plain.on('error', () => {});
  plain.resume();
  const closed = new Promise((resolve) => plain.on('close', resolve));
  plain.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await closed;
  assert.equal((await client(authority.root).unary('/t/WhoAmI', '')).code, GRPC_STATUS.ok);
});

test('sessions are not resumed: each connection is verified anew', async (t) => {
  const { authority, server } = await serve(t);
  const own = authority.issue(WORKLOAD);
  const options = { ca: authority.root, key: own.privateKey, cert: own.certificate };
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await handshake(server, { ...options, maxVersion });
    const session = first.getSession();
    assert.ok(session);
    first.destroy();
    const second = await handshake(server, { ...options, maxVersion, session });
    assert.equal(second.isSessionReused(), false, maxVersion);
    second.destroy();
  }
});

test('new certificate and roots count for new connections without a restart', async (t) => {
  const { authority, server, client } = await serve(t);
  const oldWorkload = authority.issue(WORKLOAD);
  const held = client(authority.root, oldWorkload).stream('/t/Hold');
  held.send('');
  await held.message(0);
  const next = testAuthority('next');
  server.updateTls(tlsOf(next.issue({ dnsNames: [SERVER_NAME] }), next.root));
  const ask = async (root: string, own: TestCertificate) =>
    (await client(root, own).unary('/t/WhoAmI', '')).messages;
  assert.deepEqual(await ask(next.root, next.issue(WORKLOAD)), [`URI:${WORKLOAD.uris[0]}`]);
  assert.deepEqual(await ask(next.root, oldWorkload), ['nobody']);
  assert.deepEqual(await ask(authority.root, oldWorkload), []);
  assert.equal(held.messages.length, 1);
});

test('a key that does not belong to the certificate is refused and the old one stays', async (t) => {
  const { authority, server, client } = await serve(t);
  const wrong = { ...authority.issue({}), privateKey: authority.issue({}).privateKey };
  const unusable = (error: unknown) => isBulwarkError(error, 'PKI_MALFORMED');
  assert.throws(() => server.updateTls(tlsOf(wrong, authority.root)), unusable);
  assert.equal((await client(authority.root).unary('/t/WhoAmI', '')).code, GRPC_STATUS.ok);
  const other = new GrpcServer(
    {
      name: 'other',
      listen: { host: '127.0.0.1', port: 0 },
      tls: tlsOf(wrong, authority.root),
      services: [],
    },
    { log: silentLogger, clock: systemClock },
  );
  await assert.rejects(other.start(), unusable);
  await other.close();
});

test('a connection ends when the certificate that it was made with expires', async (t) => {
  const clock = new FakeClock(Date.now());
  const { authority, client } = await serve(t, clock);
  const anonymous = client(authority.root).stream('/t/Hold');
  const known = client(authority.root, authority.issue(WORKLOAD)).stream('/t/Hold');
  for (const stream of [anonymous, known]) stream.send('');
  await Promise.all([anonymous.message(0), known.message(0)]);
  clock.advance(3_500_000);
  for (const [index, stream] of [anonymous, known].entries()) {
    stream.send('');
    assert.equal(String(await stream.message(1)), 'held', String(index));
  }
  clock.advance(101_000);
  const { code, details } = await known.outcome;
  assert.equal(code, GRPC_STATUS.unavailable);
  assert.match(details, /expired/);
  anonymous.send('');
  await anonymous.message(2);
});

/** An HTTP/2 connection on which a stream was answered and then ended. */
async function afterStream(t: TestContext, server: GrpcServer, own?: TestCertificate) {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
    servername: SERVER_NAME,
    rejectUnauthorized: false,
    ...(own && { cert: own.certificate, key: own.privateKey }),
  });
  t.after(() => session.destroy());
  const hold = async (): Promise<void> => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/t/Hold',
      'content-type': 'application/grpc',
    });
    stream.on('error', () => {});
    stream.write(frameMessage(Buffer.of()));
    await waitUntil(() => stream.readableLength > 0 || stream.sentHeaders !== undefined, 'sent');
    stream.close();
  };
  await hold();
  return { session, hold };
}

test('after a stream, who showed a certificate that did not verify has to connect anew', async (t) => {
  const { authority, server } = await serve(t);
  const foreign = testAuthority('foreign').issue(WORKLOAD);
  const { session } = await afterStream(t, server, foreign);
  await waitUntil(() => session.closed || session.destroyed, 'the server ends the connection');
  for (const own of [authority.issue(WORKLOAD), undefined]) {
    const good = await afterStream(t, server, own);
    await good.hold();
    await new Promise((resolve) => good.session.ping(resolve));
    assert.equal(good.session.closed, false);
  }
});

test('who is refused with a certificate that did verify has to connect anew', async (t) => {
  const { authority, client } = await serve(t);
  const known = client(authority.root, authority.issue(WORKLOAD));
  const held = known.stream('/t/Hold');
  held.send('');
  await held.message(0);
  const refused = known.stream('/t/Refuse');
  refused.send('');
  assert.equal((await refused.outcome).code, GRPC_STATUS.unauthenticated);
  const { code, details } = await held.outcome;
  assert.equal(code, GRPC_STATUS.unavailable);
  assert.match(details, /not taken any more/);
  const anonymous = client(authority.root);
  const kept = anonymous.stream('/t/Hold');
  kept.send('');
  await kept.message(0);
  const again = anonymous.stream('/t/Refuse');
  again.send('');
  await again.outcome;
  kept.send('');
  await kept.message(1);
});
