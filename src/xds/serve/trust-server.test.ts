import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { GRPC_STATUS, type GrpcStatusCode } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { TrustPeers } from '#xds/serve/trust-peers.ts';
import { trustResource } from '#xds/serve/trust-resource.ts';
import { TrustServer } from '#xds/serve/trust-server.ts';
import type { TrustCaller } from '#xds/serve/trust-stream.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { serveGrpc } from '../../../test/kit/grpc-server.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const PATH = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';
const CALLER: TrustCaller = {
  identity: parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web'),
  namespace: 'shop',
  serviceAccount: 'web',
  certificate: { serial: '1', authorityKeyId: 'root', notAfterAt: Date.UTC(2100, 0) },
};
const NODE = {
  id: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  metadata: { NAME: 'web', NAMESPACE: 'shop', SERVICE_ACCOUNT: 'web' },
};

type Init = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;

async function setUp(t: TestContext, caller: TrustCaller = CALLER) {
  const clock = new FakeClock(Date.UTC(2026, 0));
  const resource = trustResource({ rootsPem: 'roots', crlPem: 'lists' });
  const proven = Promise.withResolvers<void>();
  const authenticate = async () => {
    proven.resolve();
    return caller;
  };
  const deps = { authenticate, clock, log: silentLogger };
  const server = new TrustServer(resource, deps);
  const { client } = await serveGrpc(t, server.service);
  const stream = client.stream(PATH);
  const send = (init: Init): void =>
    stream.send(
      toBinary(
        DeltaDiscoveryRequestSchema,
        create(DeltaDiscoveryRequestSchema, { typeUrl: TYPE_URL.secret, ...init }),
      ),
    );
  const read = async (index: number) =>
    fromBinary(DeltaDiscoveryResponseSchema, await stream.message(index));
  return { clock, server, proven: proven.promise, stream, send, read };
}

/** A stream without a network, on which nothing is said. */
function silentStream({ service }: TrustServer) {
  const abort = new AbortController();
  const stream = {
    ended: undefined as GrpcStatusCode | undefined,
    leave: () => abort.abort(),
    call: {
      path: PATH,
      metadata: {},
      peer: { address: 'unix', verifiedCertificate: undefined },
      signal: abort.signal,
    },
    onMessage: (_: Uint8Array): void => {},
    onEnd: () => {},
    writeFrame: () => true,
    drained: async () => {},
    unsentBytes: 0,
    end: (status: GrpcStatusCode) => {
      stream.ended ??= status;
      abort.abort();
    },
    reset: () => {},
  };
  service.streams?.[PATH]?.(stream);
  return stream;
}

const begin: Init = { node: NODE, resourceNamesSubscribe: ['ROOTCA'] };

describe('the server of trust', () => {
  it('sends roots and lists, the next only after the answer, and the latest one', async (t) => {
    const { server, send, read, stream } = await setUp(t);
    send(begin);
    const first = await read(0);
    const value = first.resources[0]?.resource?.value ?? new Uint8Array();
    const { name, type } = fromBinary(SecretSchema, value);
    assert.ok(name === 'ROOTCA' && type.case === 'validationContext');
    const text = (source: { specifier: { value?: unknown } } | undefined): string =>
      Buffer.from(source?.specifier.value as Uint8Array).toString();
    assert.equal(text(type.value.trustedCa), 'roots');
    assert.equal(text(type.value.crl), 'lists');
    server.publish(trustResource({ rootsPem: 'skipped', crlPem: '' }));
    server.publish(trustResource({ rootsPem: 'last', crlPem: '' }));
    assert.equal(stream.messages.length, 1);
    send({ responseNonce: first.nonce });
    const second = await read(1);
    assert.equal(second.resources[0]?.version, server.version);
    assert.notEqual(server.peers.all()[0]?.accepted, server.version);
    send({ responseNonce: 'another' });
    send({ responseNonce: second.nonce });
    await waitUntil(() => server.peers.all()[0]?.accepted === server.version, 'the yes');
  });

  it('keeps why a workload does not take them, in one line', async (t) => {
    const { server, send, read } = await setUp(t);
    send(begin);
    const { nonce } = await read(0);
    // An answer to something else is no yes to these.
    send({ responseNonce: `${nonce}0` });
    send({ responseNonce: nonce, errorDetail: { code: 13, message: 'bad\n\u001b[2Jroots' } });
    const peer = await waitUntil(() => server.peers.all().find((one) => one.refusal), 'the no');
    assert.deepEqual([peer.refusal, peer.accepted], ['bad [2Jroots', undefined]);
  });

  for (const [what, init, status] of [
    ['no node', { resourceNamesSubscribe: ['ROOTCA'] }, GRPC_STATUS.invalidArgument],
    [
      'the name of another namespace',
      { node: { ...NODE, metadata: { ...NODE.metadata, NAMESPACE: 'bank' } } },
      GRPC_STATUS.permissionDenied,
    ],
    [
      'the name of another account',
      { node: { ...NODE, metadata: { ...NODE.metadata, SERVICE_ACCOUNT: 'admin' } } },
      GRPC_STATUS.permissionDenied,
    ],
    ['another type', { ...begin, typeUrl: TYPE_URL.listener }, GRPC_STATUS.invalidArgument],
  ] as const)
    it(`refuses a stream with ${what}`, async (t) => {
      const { server, send, stream } = await setUp(t);
      send(init as Init);
      assert.equal((await stream.outcome).code, status);
      assert.deepEqual(
        server.peers.all().filter(({ accepted }) => accepted !== undefined),
        [],
      );
    });

  it('refuses a caller without a certificate, and bytes that are no request', async (t) => {
    const { send, stream } = await setUp(t, { ...CALLER, certificate: undefined });
    send(begin);
    assert.equal((await stream.outcome).code, GRPC_STATUS.permissionDenied);
    const other = await setUp(t);
    other.stream.send('\xff\xff');
    assert.equal((await other.stream.outcome).code, GRPC_STATUS.invalidArgument);
  });

  it('ends a stream when the certificate that it was opened with is over', async (t) => {
    const { server, send, read, stream, clock } = await setUp(t);
    send(begin);
    await read(0);
    clock.advance(Date.UTC(2100, 0) - clock.now() - 1);
    assert.equal(server.peers.all()[0]?.isConnected, true);
    clock.advance(1);
    assert.equal((await stream.outcome).code, GRPC_STATUS.unauthenticated);
    assert.equal(server.peers.all()[0]?.isConnected, false);
  });

  it('ends the streams of those who are not to have any more, and of no others', async (t) => {
    const { server, send, read, stream } = await setUp(t);
    send(begin);
    await read(0);
    server.endStreams(({ serial }) => serial === '2');
    server.endStreams((_, identity) => identity.endsWith('/sa/db'));
    assert.equal(server.peers.all()[0]?.isConnected, true);
    server.endStreams(({ serial }, identity) => serial === '1' && identity.endsWith('/sa/web'));
    assert.equal((await stream.outcome).code, GRPC_STATUS.unauthenticated);
    assert.equal(server.peers.all()[0]?.isConnected, false);
  });

  it('ends the stream of who is revoked before the first request came', async (t) => {
    const { server, proven, send, stream } = await setUp(t);
    await proven;
    server.endStreams(({ serial }) => serial === '1');
    send(begin);
    assert.equal((await stream.outcome).code, GRPC_STATUS.unauthenticated);
    assert.deepEqual(server.peers.all(), []);
    assert.deepEqual(stream.messages, []);
  });

  it('keeps who broke off until its certificate has expired, and forgets who said farewell', async (t) => {
    const { server, send, read, stream, clock } = await setUp(t);
    send(begin);
    await read(0);
    stream.cancel();
    await waitUntil(() => server.peers.all()[0]?.isConnected === false, 'the break');
    clock.jump(Date.UTC(2100, 0, 2) - clock.now());
    assert.deepEqual(server.peers.all(), []);
    const other = await setUp(t);
    other.send(begin);
    await other.read(0);
    other.send({ resourceNamesUnsubscribe: ['ROOTCA'] });
    other.stream.finish();
    assert.equal((await other.stream.outcome).code, GRPC_STATUS.ok);
    assert.deepEqual(other.server.peers.all(), []);
  });

  it('refuses who asks too often before it is known', () => {
    const server = new TrustServer(trustResource({ rootsPem: 'roots', crlPem: '' }), {
      authenticate: () => new Promise(() => {}),
      clock: new FakeClock(),
      log: silentLogger,
    });
    const stream = silentStream(server);
    const request = new Uint8Array();
    for (let count = 0; count < 16; count += 1) stream.onMessage(request);
    assert.throws(() => stream.onMessage(request), { status: GRPC_STATUS.resourceExhausted });
  });

  it('takes no more streams than there may be, and none when it closes', async (t) => {
    const { server, send, read, stream } = await setUp(t);
    send(begin);
    await read(0);
    const others = Array.from({ length: LIMITS.xdsStreamsMax }, () => silentStream(server));
    const refused = others.filter(({ ended }) => ended === GRPC_STATUS.resourceExhausted);
    assert.equal(refused.length, 1);
    others[0]?.leave();
    assert.equal(silentStream(server).ended, undefined);
    server.close();
    assert.equal((await stream.outcome).code, GRPC_STATUS.unavailable);
    assert.equal(others.at(1)?.ended, GRPC_STATUS.unavailable);
    assert.equal(silentStream(server).ended, GRPC_STATUS.unavailable);
  });

  it('remembers those of before a restart as away, whatever they said', () => {
    const clock = new FakeClock(Date.UTC(2026, 0));
    const peers = new TrustPeers(clock);
    const { identity, namespace, certificate } = CALLER;
    assert.ok(certificate);
    peers.restore([{ nodeId: NODE.id, identity, namespace, workloadName: 'web', certificate }]);
    const [peer] = peers.all();
    assert.equal(peer?.isConnected, false);
    assert.equal(peer?.accepted, undefined);
  });
});
