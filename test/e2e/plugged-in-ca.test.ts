// A server with an authority made elsewhere: real Envoys talk below it, and follow it from one
// intermediate to another, and from one root to another, without a failed request.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { type ChainAuthority, makeAuthority } from '../kit/authority-chain.ts';
import { caFilesOf, strangeKey, type TestCaFiles, writeCaFiles } from '../kit/ca-files.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh, startLoad, waitForRenewals } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;
const OBJECTS = yamlOf(
  accountsYaml('shop', 'caller', 'web'),
  serviceYaml('shop', 'web'),
  strictYaml('shop'),
);

/** An authority below a root, which may be of its own kind of key. */
const below = (root: ChainAuthority, choice: 'P-256' | 'RSA-2048'): TestCaFiles =>
  caFilesOf([
    root,
    makeAuthority({ choice, trustDomains: ['cluster.local'], pathLength: 0 }, root),
  ]);

interface Shown {
  /** The serial of the authority above it. */
  readonly issuer: string | undefined;
  /** Of its RSA key. */
  readonly bits: number | undefined;
}

/** The certificate that a server shows to who has none. */
function shownBy(host: string, port: number): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const options = { host, port, rejectUnauthorized: false, ALPNProtocols: ['istio', 'h2'] };
    const socket = connect(options, () => {
      const { issuerCertificate, bits } = socket.getPeerCertificate(true);
      const issuer = issuerCertificate?.serialNumber.toLowerCase().replace(/^0+/, '');
      resolve({ issuer, bits });
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

test('a plugged-in authority signs, and is replaced under load', {
  timeout: 240_000,
}, async (t) => {
  const mesh = new RealMesh(t);
  const directory = join(mesh.directory, 'cacerts');
  const firstRoot = makeAuthority({ choice: 'RSA-2048' });
  const first = below(firstRoot, 'P-256');
  writeCaFiles(directory, first.files);
  await mesh.startServer('--ca-certificates', directory, '--workload-cert-ttl', '6s');
  await mesh.apply(OBJECTS);

  const port = await startEchoApp(t, 'web');
  const status = await mesh.startAgent('agent', {
    secretTtl: '6s',
    workloadKey: 'RSA-2048',
    workloads: [
      workloadOf('caller'),
      workloadOf('web', { group: 'web', app: { ports: [{ name: 'http', port }] } }),
    ],
  });
  const target = 'http://web.shop/';
  const proxy = (await status('caller')).ports.httpProxyPort;
  const caller = new KeepAliveClient({ port: proxy });
  t.after(() => caller.close());
  await waitUntil(async () => (await caller.ask({ target })).status === 200, 'the first answer');
  const load = startLoad(t, { port: proxy, target });
  const serves = (files: TestCaFiles): Promise<unknown> => {
    const serial = files.authorities.at(-1)?.certificate.serial;
    const [host = '', port = ''] = mesh.addresses.discovery.split(':');
    const isNew = async () => (await shownBy(host, Number(port))).issuer === serial;
    return waitUntil(isNew, 'the server shows a certificate of it', { withinMs: WITHIN_MS });
  };
  const renewed = (): Promise<unknown> =>
    Promise.all(['caller', 'web'].map((name) => waitForRenewals(() => status(name), 2, WITHIN_MS)));
  const refusals = async (): Promise<number> => {
    const text = await (await fetch(`${mesh.addresses.monitoring}/metrics`)).text();
    return Number(/bulwark_ca_files_reloads_total\{result="refused"\} (\d+)/.exec(text)?.[1]);
  };

  await t.test('its certificates are taken by Envoys and by agents', async () => {
    await serves(first);
    await renewed();
  });

  await t.test('workloads have keys of the kind that the agent is told', async () => {
    const { ports } = await status('web');
    const { bits } = await shownBy(ports.inboundAddress, ports.inbound[0]?.listen ?? 0);
    assert.equal(bits, 2048);
  });

  const second = below(firstRoot, 'RSA-2048');
  await t.test('another one below the same root takes over', async () => {
    writeCaFiles(directory, second.files);
    await serves(second);
    await renewed();
  });

  await t.test('a bad set changes nothing', async () => {
    writeCaFiles(directory, { ...second.files, privateKey: strangeKey() });
    await waitUntil(async () => (await refusals()) > 0, 'it is counted');
    await serves(second);
    await renewed();
    writeCaFiles(directory, second.files);
  });

  await t.test('another root takes over: first trusted, then used, then alone', async () => {
    const secondRoot = makeAuthority();
    const third = below(secondRoot, 'P-256');
    const root = `${firstRoot.pem}${secondRoot.pem}`;
    writeCaFiles(directory, { ...second.files, root });
    await renewed();
    writeCaFiles(directory, { ...third.files, root });
    await serves(third);
    await renewed();
    writeCaFiles(directory, third.files);
    await renewed();
    const trusted = readFileSync(join(mesh.data, 'root-cert.pem'), 'utf8');
    assert.equal(trusted, secondRoot.pem);
  });

  const { failures } = await load.stop(500);
  assert.deepEqual(failures, []);
});
