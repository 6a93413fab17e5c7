// What has been tried on the TLS of other meshes, against the real Envoy.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import type { HardeningProfile, MeshSettings } from '#model/mesh-settings.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { httpRequest, statusOf } from '../kit/peer-call.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const BACKEND = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
const STRICT = objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`);
const ONLY_FRIEND = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: friend, namespace: shop }
spec: { rules: [{ from: [{ source: { principals: ["cluster.local/ns/web/sa/friend"] } }] }] }
`);
const OLD_DOMAIN = parseTrustDomain('old.example');

/** Some answers never come: the application waits for more of what it takes for a request. */
const ANSWER_MS_MAX = 2000;

/** A server behind the real Envoy. */
async function startServer(
  t: TestContext,
  options: {
    readonly objects?: typeof STRICT;
    readonly settings?: Partial<MeshSettings>;
    readonly roots?: string;
  } = {},
) {
  const mesh = new ExplicitMesh(
    testMesh([...BACKEND, ...(options.objects ?? STRICT)], options.settings),
    testAuthority(),
  );
  const server = await mesh.start(t, {
    namespace: 'shop',
    name: 'backend',
    ports: { http: await startEchoApp(t, 'backend') },
    ...(options.roots === undefined ? {} : { roots: options.roots }),
  });
  return { mesh, server, port: server.listenPort('http') };
}

interface TlsCall {
  readonly port: number;
  readonly certificate?: TestCertificate | undefined;
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
  readonly alpn?: readonly string[];
  /** What an earlier connection left, to begin where it ended. */
  readonly session?: Buffer | undefined;
}

/** What came of a call: its status (0 = none), and what a later one could begin with. */
interface TlsOutcome {
  readonly status: number;
  readonly resumed: boolean;
  readonly session: Buffer | undefined;
}

async function call({ port, certificate, version, alpn, session }: TlsCall): Promise<TlsOutcome> {
  const socket: TLSSocket = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(certificate && { cert: certificate.certificate, key: certificate.privateKey }),
    ...(version && { minVersion: version, maxVersion: version }),
    ...(alpn && { ALPNProtocols: [...alpn] }),
    ...(session && { session }),
  });
  let [text, left, resumed]: [string, Buffer | undefined, boolean] = ['', undefined, false];
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
  socket.on('session', (given: Buffer) => {
    left = given;
  });
  socket.on('secureConnect', () => {
    resumed = socket.isSessionReused();
  });
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.startsWith('HTTP/1.1 ')) socket.end();
  });
  // A refusal is what is looked for; the status tells.
  socket.on('error', () => socket.destroy());
  socket.write(httpRequest('/'));
  await new Promise((resolve) => socket.once('close', resolve));
  return { status: statusOf({ text, error: undefined }), resumed, session: left };
}

const MESH = ['istio-http/1.1'];

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session from before a change is not resumed after it (${version})`, {
    timeout: 240_000,
  }, async (t) => {
    const settings = { trustDomainAliases: [OLD_DOMAIN] };
    const { mesh, server, port } = await startServer(t, { settings });
    const certificate = mesh.authority.issue({ uris: ['spiffe://old.example/ns/web/sa/caller'] });
    const caller = { port, certificate, version, alpn: MESH };
    const taken = async (): Promise<Buffer> => {
      const full = await waitUntil(async () => {
        const outcome = await call(caller);
        return outcome.status === 200 ? outcome : undefined;
      }, 'the caller is taken');
      assert.ok(full.session, 'the server gives sessions');
      const again = await call({ ...caller, session: full.session });
      assert.deepEqual([again.status, again.resumed], [200, true], 'they can be resumed');
      return again.session ?? full.session;
    };
    const refused = async (session: Buffer, what: string): Promise<void> => {
      await waitUntil(async () => (await call(caller)).status === 0, `${what} counts`);
      assert.deepEqual(
        await call({ ...caller, session }).then(({ status, resumed }) => ({ status, resumed })),
        { status: 0, resumed: false },
        what,
      );
    };

    const beforeList = await taken();
    const { serialNumber } = new X509Certificate(certificate.certificate);
    server.publishCrl(mesh.authority.crl([serialNumber]));
    await refused(beforeList, 'the list');

    server.publishCrl('');
    const beforeRoots = await taken();
    server.publishRoots(testAuthority('another root').root);
    await refused(beforeRoots, 'another root');

    server.publishRoots(mesh.authority.root);
    const beforeNames = await taken();
    server.publish(testMesh([...BACKEND, ...STRICT], { trustDomainAliases: [] }));
    await refused(beforeNames, 'another set of names');
  });
}

test('a server that has no roots yet takes nobody', { timeout: 240_000 }, async (t) => {
  const { mesh, server, port } = await startServer(t, { roots: '' });
  const certificate = mesh.authority.issue({ uris: ['spiffe://cluster.local/ns/web/sa/caller'] });
  const stranger = testAuthority('stranger').issue({
    uris: ['spiffe://cluster.local/ns/web/sa/caller'],
  });
  await server.envoy.process.waitForLine(
    (line) => /starting main dispatch loop/.test(line),
    60_000,
  );
  for (const one of [certificate, stranger, undefined]) {
    assert.equal((await call({ port, certificate: one, alpn: MESH })).status, 0);
  }
  server.publishRoots(mesh.authority.root);
  await waitUntil(
    async () => (await call({ port, certificate, alpn: MESH })).status === 200,
    'the roots are there',
  );
  assert.equal((await call({ port, certificate: stranger, alpn: MESH })).status, 0);
  assert.equal((await call({ port, alpn: MESH })).status, 0);
});

test('a certificate that is no proof of an identity opens nothing', {
  timeout: 240_000,
}, async (t) => {
  const { mesh, port } = await startServer(t, { objects: [...STRICT, ...ONLY_FRIEND] });
  const { issue } = mesh.authority;
  const friend = 'spiffe://cluster.local/ns/web/sa/friend';
  const honest = { port, certificate: issue({ uris: [friend] }), alpn: MESH };
  await waitUntil(async () => (await call(honest)).status === 200, 'the friend is let in');
  const bad: Readonly<Record<string, TestCertificate>> = {
    'the identity as a DNS name': issue({ dnsNames: [friend] }),
    'a certificate for servers alone': issue({ uris: [friend] }, ['serverAuth']),
    'no name at all': issue({}),
    'the identity with something after a NUL': issue({ uris: [`${friend}\0/evil`] }),
    'something with the identity after a NUL': issue({ uris: [`spiffe://evil\0${friend}`] }),
    'the identity in another trust domain': issue({ uris: [friend.replace('cluster', 'evil')] }),
    'the identity in capitals': issue({ uris: [friend.toUpperCase()] }),
    'the identity with more path': issue({ uris: [`${friend}/x`] }),
    'the identity with a query': issue({ uris: [`${friend}?x`] }),
  };
  for (const [what, certificate] of Object.entries(bad)) {
    const { status } = await call({ port, certificate, alpn: MESH });
    assert.ok(status === 0 || status === 403, `${what}: ${status}`);
  }
});

for (const hardening of ['strict', 'istio'] satisfies HardeningProfile[]) {
  test(`a caller that hides behind what its TLS leaves out (profile ${hardening})`, {
    timeout: 240_000,
  }, async (t) => {
    for (const mode of ['STRICT', 'PERMISSIVE']) {
      const peers = mode === 'STRICT' ? STRICT : [];
      const { mesh, port } = await startServer(t, {
        objects: [...peers, ...ONLY_FRIEND],
        settings: { hardening },
      });
      const issue = (account: string) =>
        mesh.authority.issue({ uris: [`spiffe://cluster.local/ns/web/sa/${account}`] });
      const [friend, thief] = [issue('friend'), issue('thief')];
      const honest = { port, certificate: friend, alpn: MESH };
      await waitUntil(async () => (await call(honest)).status === 200, 'the friend is let in');
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const alpn of [undefined, ['http/1.1'], ['h2'], ['istio']]) {
          for (const certificate of [undefined, thief]) {
            const { status } = await call({
              port,
              certificate,
              version,
              ...(alpn ? { alpn } : {}),
            });
            const what = `${mode} ${version} ${alpn} ${certificate ? 'thief' : 'nobody'}`;
            assert.ok(status === 0 || status === 403, `${what}: ${status}`);
          }
        }
      }
    }
  });
}
