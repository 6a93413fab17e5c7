// Many workloads on one connection: each is believed for itself, by a proof good there only.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { TrustConnections } from '#agent/trust/trust-connections.ts';
import { systemClock } from '#base/clock.ts';
import { GrpcClient } from '#base/grpc/client.ts';
import type { GrpcCallError } from '#base/grpc/client-call.ts';
import { GRPC_STATUS, type GrpcServerStream, type GrpcStatusError } from '#base/grpc/grpc.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { ServerRoots } from '#caclient/server-roots.ts';
import { channelAuthenticator } from '#controlplane/channel-authenticator.ts';
import { proveOnChannel } from '#pki/channel-proof.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { serveGrpc } from '../../../test/kit/grpc-server.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const METHOD = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';
const FIELD = 'bulwark-workload-proof';
const SERVER_NAME = 'server.test';
const web = 'spiffe://cluster.local/ns/shop/sa/web';

interface World {
  /** Identities by the address that their streams came from, in order. */
  readonly seen: { readonly identity: string; readonly from: string }[];
  readonly revoked: Set<string>;
  readonly authority: FakeAuthority;
  readonly rootFile: string;
  readonly target: string;
  readonly connections: TrustConnections;
}

/** A server that asks who opens its streams. */
async function setUp(t: TestContext): Promise<World> {
  const authority = new FakeAuthority(systemClock);
  const seen: World['seen'] = [];
  const revoked = new Set<string>();
  const authenticate = channelAuthenticator({
    clock: systemClock,
    authority,
    trustDomains: [parseTrustDomain('cluster.local')],
    isRevoked: (_, identity) => revoked.has(identity),
    authenticateToken: () => assert.fail('nobody comes with a token'),
  });
  const open = (stream: GrpcServerStream): void => {
    authenticate(stream.call).then(
      ({ identity }) => seen.push({ identity, from: stream.call.peer.address }),
      (error: GrpcStatusError) => stream.end(error.status, error.message),
    );
    stream.onEnd = () => stream.end(GRPC_STATUS.ok);
  };
  const { privateKeyPem, certificatePem } = authority.issue({ dnsNames: [SERVER_NAME] });
  const tls = {
    privateKeyPem,
    certificateChainPem: certificatePem,
    clientCaPem: authority.rootPem,
  };
  const { target } = await serveGrpc(t, { streams: { [METHOD]: open } }, { options: { tls } });
  const rootFile = join(temporaryDirectory(t), 'root.pem');
  writeFileSync(rootFile, authority.rootPem);
  const connections = new TrustConnections(
    { address: target, serverName: SERVER_NAME },
    { roots: new ServerRoots(rootFile), clock: systemClock },
  );
  return { seen, revoked, authority, rootFile, target, connections };
}

function ownOf({ authority }: World, uri = web) {
  const { privateKeyPem, certificatePem: chainPem } = authority.issue({ uris: [uri] });
  return { privateKeyPem, chainPem };
}

/** Opens a stream that ends with the test; `ended` gives how. */
async function open(t: TestContext, { connections }: World, own: ReturnType<typeof ownOf>) {
  const { promise: ended, resolve } = Promise.withResolvers<GrpcCallError | undefined>();
  const stream = await connections.open(own, { onMessage: () => {}, onEnd: resolve });
  t.after(() => stream.cancel());
  return { stream, ended };
}

describe('streams of many workloads', () => {
  it('share a connection, and each proves an identity of its own', async (t) => {
    const world = await setUp(t);
    const uris = ['a', 'b', 'c'].map((name) => `spiffe://cluster.local/ns/shop/sa/${name}`);
    await Promise.all(uris.map((uri) => open(t, world, ownOf(world, uri))));
    await waitUntil(() => world.seen.length === uris.length, 'the three streams');
    assert.deepEqual(world.seen.map(({ identity }) => identity).sort(), uris);
    assert.equal(new Set(world.seen.map(({ from }) => from)).size, 1);
  });

  it('take another connection when one is full, or the roots of the server are others', async (t) => {
    const world = await setUp(t);
    const own = ownOf(world);
    await Promise.all(Array.from({ length: 129 }, () => open(t, world, own)));
    await waitUntil(() => world.seen.length === 129, 'the streams');
    assert.equal(new Set(world.seen.map(({ from }) => from)).size, 2);
    writeFileSync(world.rootFile, `${world.authority.rootPem}\n`);
    await open(t, world, own);
    await waitUntil(() => world.seen.length === 130, 'one more');
    assert.equal(new Set(world.seen.map(({ from }) => from)).size, 3);
  });

  it('end one by one, and the next is opened on a connection that is there', async (t) => {
    const world = await setUp(t);
    const { stream, ended } = await open(t, world, ownOf(world));
    stream.finish();
    assert.equal(await ended, undefined);
    await open(t, world, ownOf(world));
    await waitUntil(() => world.seen.length === 2, 'the second stream');
  });

  it('are on the connection for certificates, which stays when they end', async (t) => {
    const world = await setUp(t);
    const { target: address, rootFile, authority } = world;
    const options = { address, serverName: SERVER_NAME, rootFile };
    const ca = new CaClient(options, { clock: systemClock });
    t.after(() => ca.close());
    const connections = new TrustConnections(options, {
      roots: ca.roots,
      clock: systemClock,
      sharedClient: (rootsPem) => ca.sharedClient(rootsPem),
    });
    ca.prepare();
    const client = await waitUntil(() => ca.sharedClient(authority.rootPem), 'its connection');
    const own = ownOf(world);
    const { stream, ended } = await open(t, { ...world, connections }, own);
    stream.finish();
    assert.equal(await ended, undefined);
    const events = { onMessage: () => {}, onEnd: () => {} };
    const prove = (binding: Uint8Array) => ({ [FIELD]: proveOnChannel(binding, own) });
    await client.boundStream(METHOD, events, prove);
    await waitUntil(() => world.seen.length === 2, 'both streams');
    assert.equal(new Set(world.seen.map(({ from }) => from)).size, 1);
  });

  it('take another connection when that for certificates is full', async (t) => {
    const world = await setUp(t);
    const { target: address, rootFile, authority } = world;
    const options = { address, serverName: SERVER_NAME };
    const client = new GrpcClient(
      { ...options, rootPem: authority.rootPem },
      { clock: systemClock },
    );
    t.after(() => client.close());
    const connections = new TrustConnections(options, {
      roots: new ServerRoots(rootFile),
      clock: systemClock,
      sharedClient: () => client,
    });
    const own = ownOf(world);
    await Promise.all(Array.from({ length: 129 }, () => open(t, { ...world, connections }, own)));
    await waitUntil(() => world.seen.length === 129, 'the streams');
    assert.equal(new Set(world.seen.map(({ from }) => from)).size, 2);
  });

  it('have a connection of their own when that one trusts other roots', async (t) => {
    const world = await setUp(t);
    const asked: string[] = [];
    const connections = new TrustConnections(
      { address: world.target, serverName: SERVER_NAME },
      {
        roots: new ServerRoots(world.rootFile),
        clock: systemClock,
        sharedClient: (rootsPem) => {
          asked.push(rootsPem);
          return undefined;
        },
      },
    );
    await open(t, { ...world, connections }, ownOf(world));
    await waitUntil(() => world.seen.length === 1, 'the stream');
    assert.deepEqual(asked, [world.authority.rootPem]);
  });

  it('do not open without the roots of the server, nor to a server of others', async (t) => {
    const world = await setUp(t);
    writeFileSync(world.rootFile, new FakeAuthority(systemClock).rootPem);
    await assert.rejects(open(t, world, ownOf(world)), /certificate/);
    writeFileSync(world.rootFile, world.authority.rootPem);
    await open(t, world, ownOf(world));
    await waitUntil(() => world.seen.length === 1, 'the stream');
  });
});

describe('a stream is refused', () => {
  const refused = (error: GrpcCallError | undefined): void => {
    assert.equal(error?.status, GRPC_STATUS.unauthenticated);
    assert.match(error?.message ?? '', /authentication failure$/);
  };

  it('with the certificate of one workload and the key of another, while others go on', async (t) => {
    const world = await setUp(t);
    const honest = await open(t, world, ownOf(world));
    const stolen = { ...ownOf(world, `${web}-admin`), privateKeyPem: ownOf(world).privateKeyPem };
    refused(await (await open(t, world, stolen)).ended);
    honest.stream.finish();
    assert.equal(await honest.ended, undefined);
    assert.deepEqual(
      world.seen.map(({ identity }) => identity),
      [web],
    );
  });

  it('with a certificate of another authority, or of one that is revoked', async (t) => {
    const world = await setUp(t);
    const { authority, revoked } = world;
    const foreign = ownOf({ ...world, authority: new FakeAuthority(systemClock) });
    refused(await (await open(t, world, foreign)).ended);
    revoked.add(web);
    refused(await (await open(t, world, ownOf({ ...world, authority }))).ended);
    assert.deepEqual(world.seen, []);
  });

  it('with a proof from another connection, also beside a certificate of its own', async (t) => {
    const world = await setUp(t);
    const { target: address, authority } = world;
    const options = { address, serverName: SERVER_NAME, rootPem: authority.rootPem };
    const replay = async (own?: ReturnType<typeof ownOf>): Promise<GrpcCallError | undefined> => {
      const { promise: ended, resolve } = Promise.withResolvers<GrpcCallError | undefined>();
      const events = { onMessage: () => {}, onEnd: resolve };
      const clients = [0, 1].map(() => new GrpcClient({ ...options, own }, { clock: systemClock }));
      t.after(() => clients.map((client) => client.close()));
      let proof = '';
      const heard = await clients[0]?.boundStream(
        METHOD,
        { ...events, onEnd: () => {} },
        (binding) => {
          proof = proveOnChannel(binding, ownOf(world, `${web}-admin`));
          return { [FIELD]: proof };
        },
      );
      t.after(() => heard?.cancel());
      await waitUntil(() => world.seen.some(({ identity }) => identity === `${web}-admin`), 'it');
      world.seen.length = 0;
      await clients[1]?.boundStream(METHOD, events, () => ({ [FIELD]: proof }));
      return ended;
    };
    refused(await replay());
    refused(await replay(ownOf(world)));
    assert.deepEqual(world.seen, []);
  });
});
