// Which keys and chains the real Envoy takes, and that a name constraint above a certificate holds
// there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { generateKeyPair } from '#pki/keys.ts';
import {
  type ChainAuthority,
  type ChainLeaf,
  makeAuthority,
  makeLeaf,
} from '../kit/authority-chain.ts';
import { startEnvoy } from '../kit/envoy.ts';
import { freePort } from '../kit/free-port.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';
const OWN = { uris: ['spiffe://cluster.local/ns/a/sa/b'] };
const FOREIGN = { uris: ['spiffe://other.example/ns/a/sa/b'] };

interface Server {
  readonly leaf: ChainLeaf;
  /** Between the leaf and the root. */
  readonly intermediates?: readonly ChainAuthority[];
  readonly root: ChainAuthority;
  /** For the server: instead of what Envoy takes by itself. */
  readonly signatures?: readonly string[];
}

/** A server to call, and how many callers it has refused for their certificate. */
interface Echo {
  readonly port: number;
  refusals(): Promise<number>;
}

/** An Envoy that echoes who has a certificate of the root, whatever names are in it. */
async function startServer(t: TestContext, server: Server): Promise<Echo> {
  const port = await freePort();
  const chain = [server.leaf, ...(server.intermediates ?? [])].map(({ pem }) => pem).join('');
  const tls = {
    '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
    require_client_certificate: true,
    common_tls_context: {
      ...(server.signatures ? { tls_params: { signature_algorithms: server.signatures } } : {}),
      tls_certificates: [
        {
          certificate_chain: { inline_string: chain },
          private_key: { inline_string: server.leaf.privateKeyPem },
        },
      ],
      validation_context: { trusted_ca: { inline_string: server.root.pem } },
    },
  };
  const echo = {
    name: 'echo',
    typed_config: { '@type': `${TYPE}.filters.network.echo.v3.Echo` },
  };
  const listener = {
    name: 'in',
    stat_prefix: 'in',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [echo], transport_socket: { name: 'tls', typed_config: tls } }],
  };
  const envoy = await startEnvoy(t, { bootstrap: { static_resources: { listeners: [listener] } } });
  await envoy.ready();
  return { port, refusals: () => envoy.stat('listener.in.ssl.fail_verify_error') };
}

/** Whether a client with this certificate is served; its socket, closed. */
async function call(
  { port }: Echo,
  { leaf, intermediates = [], root }: Server,
): Promise<{ readonly isServed: boolean; readonly socket: TLSSocket }> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: 'istiod.istio-system.svc',
    key: leaf.privateKeyPem,
    cert: [leaf, ...intermediates].map(({ pem }) => pem).join(''),
    ca: root.pem,
    checkServerIdentity: () => undefined,
  });
  socket.write('hello');
  const isServed = await Promise.race([
    once(socket, 'data').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return { isServed, socket };
}

describe('a leaf of', () => {
  const kinds = {
    'P-256': () => generateKeyPair('P-256'),
    'P-384': () => generateKeyPair('P-384'),
    'RSA of 2048 bits': () => generateKeyPair('RSA-2048'),
    'RSA of 4096 bits': () => generateKeyPair('RSA-4096'),
  };
  for (const [kind, make] of Object.entries(kinds))
    it(`${kind} serves and is taken from callers`, async (t) => {
      const root = makeAuthority();
      const server = { leaf: makeLeaf(root, OWN, make()), root };
      const envoy = await startServer(t, server);
      assert.equal((await call(envoy, server)).isServed, true);
    });
});

describe('a leaf of Ed25519', () => {
  const root = makeAuthority();
  const ordinary = { leaf: makeLeaf(root, OWN), root };
  const edwards = { leaf: makeLeaf(root, OWN, generateKeyPairSync('ed25519')), root };
  const signatures = ['ed25519', 'ecdsa_secp256r1_sha256'];

  it('is served by Envoy, but as it is it takes none from the other side', async (t) => {
    const envoy = await startServer(t, ordinary);
    assert.equal((await call(envoy, ordinary)).isServed, true);
    assert.equal((await call(envoy, edwards)).isServed, false);
    assert.equal((await call(await startServer(t, edwards), ordinary)).isServed, true);
  });

  it('is taken by an Envoy that is told to', async (t) => {
    const envoy = await startServer(t, { ...ordinary, signatures });
    assert.equal((await call(envoy, edwards)).isServed, true);
  });
});

describe('a chain under authorities of', () => {
  for (const choice of ['P-256', 'P-384', 'RSA-2048'] as const)
    it(`${choice} is taken, two of them between leaf and root`, async (t) => {
      const root = makeAuthority({ choice });
      const upper = makeAuthority({ choice }, root);
      const lower = makeAuthority({ choice, pathLength: 0 }, upper);
      const intermediates = [lower, upper];
      const server = { leaf: makeLeaf(lower, OWN), intermediates, root };
      const envoy = await startServer(t, server);
      assert.equal((await call(envoy, server)).isServed, true);
      const stranger = makeAuthority({ choice });
      const other = { ...server, leaf: makeLeaf(stranger, OWN), intermediates: [stranger] };
      assert.equal((await call(envoy, other)).isServed, false);
      assert.equal(await envoy.refusals(), 1);
    });
});

describe('an identity of another trust domain is refused', () => {
  const bound = { trustDomains: ['cluster.local'] };
  it('under a root that is bound to its own', async (t) => {
    const root = makeAuthority(bound);
    const envoy = await startServer(t, { leaf: makeLeaf(root, OWN), root });
    assert.equal((await call(envoy, { leaf: makeLeaf(root, OWN), root })).isServed, true);
    assert.equal((await call(envoy, { leaf: makeLeaf(root, FOREIGN), root })).isServed, false);
    assert.equal(await envoy.refusals(), 1);
  });

  it('under an intermediate that is bound, though the root is not', async (t) => {
    const root = makeAuthority();
    const intermediates = [makeAuthority({ ...bound, pathLength: 0 }, root)];
    const [parent] = intermediates;
    assert.ok(parent);
    const own = { leaf: makeLeaf(parent, OWN), intermediates, root };
    const envoy = await startServer(t, own);
    assert.equal((await call(envoy, own)).isServed, true);
    assert.equal((await call(envoy, { ...own, leaf: makeLeaf(parent, FOREIGN) })).isServed, false);
    assert.equal(await envoy.refusals(), 1);
  });

  it('and a server under a bound root proves its DNS names and addresses', async (t) => {
    const root = makeAuthority(bound);
    const names = { dnsNames: ['istiod.istio-system.svc'], ipAddresses: ['127.0.0.1'] };
    const server = { leaf: makeLeaf(root, names), root };
    const envoy = await startServer(t, server);
    const { isServed, socket } = await call(envoy, server);
    assert.equal(isServed, true);
    assert.equal(socket.authorized, true);
  });

  it('for kubectl too, which is Go', async (t) => {
    const root = makeAuthority(bound);
    const { pem, privateKeyPem } = makeLeaf(root, { ipAddresses: ['127.0.0.1'] });
    const answer = (_: unknown, response: ServerResponse) => response.end('hello kubectl');
    const server = createServer({ cert: pem, key: privateKeyPem }, answer);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const file = join(temporaryDirectory(t), 'root.pem');
    const args = ['get', '--raw', '/', `--server=https://127.0.0.1:${port}`, '--token=x'];
    for (const [trusted, expected] of [
      [root.pem, /hello kubectl/],
      [makeAuthority().pem, /unknown authority/],
    ] as const) {
      writeFileSync(file, trusted);
      const said = await promisify(execFile)('kubectl', [
        ...args,
        `--certificate-authority=${file}`,
      ]).then(
        ({ stdout }) => stdout,
        (error) => String(error),
      );
      assert.match(said, expected);
    }
  });
});
