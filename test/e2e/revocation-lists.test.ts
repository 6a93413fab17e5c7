// CA-4: lists of revoked certificates with every kind of authority. They reach every Envoy together
// with the roots, no handshake fails by them while authorities and roots are replaced, and revoked
// servers and clients are refused by their peers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ChainAuthority, crlOf, makeAuthority } from '../kit/authority-chain.ts';
import { bulwark } from '../kit/bulwark.ts';
import { caFilesOf, writeCaFiles } from '../kit/ca-files.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { answersFresh, calmHandshakes, startHandshakes } from '../kit/fresh-handshakes.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { callPeer } from '../kit/peer-call.ts';
import { RealMesh, waitForRenewals } from '../kit/real-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = yamlOf(
  accountsYaml('shop', 'caller', 'web'),
  serviceYaml('shop', 'web', ['tcp']),
  strictYaml('shop'),
);
/** Much longer than it takes (bench/mesh/revocation.bench.ts): busy machines must not fail it. */
const WITHIN_MS = 60_000;

/** An authority of several levels, as files. */
const below = (...above: readonly [ChainAuthority, ...ChainAuthority[]]) => {
  const trustDomains = ['cluster.local'];
  return caFilesOf([...above, makeAuthority({ trustDomains, pathLength: 0 }, above.at(-1))]);
};

/** A caller that reaches a server by TCP, each with an agent of its own. */
async function startMesh(t: TestContext, ...args: readonly string[]) {
  const mesh = new RealMesh(t);
  await mesh.startServer(...args);
  await mesh.apply(OBJECTS);
  const workload = (name: string, more: object) => ({
    secretTtl: '20s',
    workloads: [workloadOf(name, more)],
  });
  const ports = [{ name: 'tcp', port: await startEchoApp(t, 'web') }];
  const web = await mesh.startAgent('web', workload('web', { group: 'web', app: { ports } }));
  const outputCerts = join(mesh.directory, 'certs');
  const more = { upstreams: ['web.shop:81'], outputCerts };
  const caller = await mesh.startAgent('caller', workload('caller', more));
  const port = (await caller('caller')).ports.upstreams[0]?.listen ?? 0;
  await waitUntil(() => answersFresh(port), 'the first answer');
  const cert = (...words: readonly string[]) => mesh.command('cert', ...words);
  return { mesh, port, outputCerts, cert, web: () => web('web'), caller: () => caller('caller') };
}

type Mesh = Awaited<ReturnType<typeof startMesh>>;

/** Again and again: a change of lists or policies may end one connection, too. */
async function isRefused(port: number): Promise<boolean> {
  for (let look = 0; look < 20; look += 1) if (await answersFresh(port)) return false;
  return true;
}

/** Revokes what the server shows while its agent can do nothing about it, and lets it recover. */
async function refusesRevokedServer({ mesh, port, web, cert }: Mesh): Promise<void> {
  const { serial } = (await web()).certificate;
  const pid = await mesh.agentPid('web');
  process.kill(pid, 'SIGSTOP');
  try {
    await waitUntil(() => answersFresh(port), 'it answers');
    await cert('revoke', '--serial', serial);
    await waitUntil(() => isRefused(port), 'the server is refused', { withinMs: WITHIN_MS });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const renewed = async () => (await web()).certificate.serial !== serial;
  await waitUntil(renewed, 'its agent has another certificate');
  await waitUntil(() => answersFresh(port), 'it answers with that');
  await cert('unrevoke', '--serial', serial);
}

/** Revokes a copy of the caller's certificate; the handshake says why it is refused. */
async function refusesRevokedClient({ outputCerts, web, caller, cert }: Mesh): Promise<void> {
  const read = (name: string) => readFileSync(join(outputCerts, name), 'utf8');
  const stolen = { certificate: read('cert-chain.pem'), privateKey: read('key.pem') };
  const port = (await web()).ports.inbound[0]?.listen ?? 0;
  const call = () => callPeer({ port, certificate: stolen, alpn: ['istio'], data: ASK }, /200/);
  await waitUntil(async () => /200/.test((await call()).text), 'it is taken');
  const { serial } = (await caller()).certificate;
  await cert('revoke', '--serial', serial);
  await waitUntil(async () => /revoked/i.test((await call()).error ?? ''), 'it is revoked', {
    withinMs: WITHIN_MS,
  });
  await cert('unrevoke', '--serial', serial);
  await waitUntil(async () => /200/.test((await call()).text), 'it is taken again');
}

const ASK = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n';

test('below several levels of authorities', { timeout: 240_000 }, async (t) => {
  const root = makeAuthority();
  const middle = makeAuthority({}, root);
  const directory = join(temporaryDirectory(t), 'cacerts');
  writeCaFiles(directory, below(root, middle).files);
  const set = await startMesh(t, '--ca-certificates', directory);
  const { mesh, port, cert } = set;

  await t.test('a revoked server is refused by its clients', () => refusesRevokedServer(set));
  await t.test('a revoked client is refused in the handshake', () => refusesRevokedClient(set));

  await t.test('another authority takes over, and no handshake fails', async () => {
    await cert('revoke', '--serial', 'ab12');
    await calmHandshakes(t, port);
    const handshakes = startHandshakes(t, port);
    writeCaFiles(directory, below(root, middle).files);
    await Promise.all([
      waitForRenewals(set.web, 1, 90_000),
      waitForRenewals(set.caller, 1, 90_000),
    ]);
    const { count, failed } = await handshakes.stop(100);
    assert.equal(failed, 0, `${failed} of ${count} handshakes`);
    await refusesRevokedServer(set);
  });

  await t.test('a restart keeps the list of the one before', async () => {
    await mesh.startServer('--ca-certificates', directory);
    assert.equal(await mesh.metric('bulwark_ca_crl_missing_issuers'), 0);
    assert.ok((await mesh.metric('bulwark_ca_crl_next_update_timestamp')) > Date.now() / 1000);
    await waitUntil(() => answersFresh(port), 'handshakes go on');
    await refusesRevokedServer(set);
  });
});

test('lists that come with an authority', { timeout: 240_000 }, async (t) => {
  const root = makeAuthority();
  const [first, second] = [below(root), below(root)];
  const directory = join(temporaryDirectory(t), 'cacerts');
  writeCaFiles(directory, { ...first.files, crl: crlOf(root, []) });
  const set = await startMesh(t, '--ca-certificates', directory);
  const { mesh, port } = set;

  await t.test('end no handshake, and what is revoked here is refused', async () => {
    assert.ok((await mesh.metric('bulwark_ca_crl_next_update_timestamp')) > 0);
    await waitUntil(() => answersFresh(port), 'it answers');
    await refusesRevokedServer(set);
  });

  await t.test('refuse whatever a revoked authority has signed', async () => {
    const stopped = await mesh.agentPid('web');
    process.kill(stopped, 'SIGSTOP');
    try {
      const revoked = first.authorities.at(-1)?.certificate.serial ?? '';
      writeCaFiles(directory, { ...second.files, crl: crlOf(root, [revoked]) });
      await waitUntil(async () => !(await answersFresh(port)), 'the old certificates are refused', {
        withinMs: 60_000,
      });
    } finally {
      process.kill(stopped, 'SIGCONT');
    }
    await waitUntil(() => answersFresh(port), 'all have certificates of the new one');
  });
});

test('while the root is replaced', { timeout: 240_000 }, async (t) => {
  const set = await startMesh(t);
  const { mesh, port, cert } = set;
  await cert('revoke', '--serial', 'ab12');
  for (const step of ['prepare', 'activate', 'taint', 'revoke'] as const) {
    await t.test(`${step} leaves no handshake without its list`, async () => {
      await calmHandshakes(t, port);
      const handshakes = startHandshakes(t, port);
      const command = bulwark(['ca', 'rotate', step, '--kubeconfig', mesh.kubeconfig]);
      await command.ended;
      assert.equal(command.exit?.code, 0, command.tail());
      const { count, failed } = await handshakes.stop(20);
      assert.equal(failed, 0, `${failed} of ${count} handshakes`);
      await refusesRevokedServer(set);
    });
  }
  await t.test('a revoked client is refused under the new root', () => refusesRevokedClient(set));
});
