// What others may fetch from the control plane, and nothing else.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '#base/log.ts';
import { BundleEndpoint } from '#controlplane/bundle-endpoint.ts';
import { BundleSequence } from '#controlplane/bundle-sequence.ts';
import { CertificateFile } from '#controlplane/certificate-file.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const authority = testAuthority();

function certificateFiles(t: TestContext) {
  const directory = temporaryDirectory(t);
  const options = { certificate: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  const write = (from = authority, keyFrom = from): void => {
    const pair = from.issue({ ipAddresses: ['127.0.0.1'] });
    const other = keyFrom === from ? pair : keyFrom.issue({ ipAddresses: ['127.0.0.1'] });
    writeFileSync(options.key, other.privateKey, { mode: 0o600 });
    writeFileSync(options.certificate, pair.certificate);
  };
  write();
  return { options, write };
}

async function setUp(t: TestContext, issuer?: string) {
  const clock = new FakeClock();
  const { options, write } = certificateFiles(t);
  const serving = new CertificateFile(options, { clock, log: silentLogger });
  t.after(() => serving.close());
  await serving.start();
  const endpoint = new BundleEndpoint(
    { host: '127.0.0.1', port: 0, issuer },
    { serving, bundle: () => '{"keys":[]}', keys: () => '{"keys":[1]}', log: silentLogger },
  );
  t.after(() => endpoint.close());
  await endpoint.start();
  const ask = (path: string, { method = 'GET', root = authority.root } = {}) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const target = { host: '127.0.0.1', port: endpoint.port, path, method };
      const sent = request({ ...target, ca: root, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
        );
      });
      sent.on('error', reject);
      sent.end();
    });
  return { ask, clock, write, options };
}

test('the bundle is there for everybody, and cannot be written', async (t) => {
  const { ask } = await setUp(t);
  for (const path of ['/', '/bundle'])
    assert.deepEqual(await ask(path), { status: 200, body: '{"keys":[]}' });
  assert.equal((await ask('/', { method: 'POST' })).status, 405);
  for (const path of ['/keys', '/.well-known/openid-configuration', '/constructor', '/__proto__'])
    assert.equal((await ask(path)).status, 404, path);
});

test('clients of OIDC find the keys where the issuer says', async (t) => {
  const { ask } = await setUp(t, 'https://mesh.example/');
  const { body } = await ask('/.well-known/openid-configuration');
  const { issuer, jwks_uri: keys } = JSON.parse(body) as Record<string, string>;
  assert.deepEqual([issuer, keys], ['https://mesh.example/', 'https://mesh.example/keys']);
  assert.deepEqual(await ask('/keys'), { status: 200, body: '{"keys":[1]}' });
});

test('a certificate that was replaced is used, one that is not of its key never', async (t) => {
  const { ask, clock, write, options } = await setUp(t);
  const next = testAuthority('next');
  write(next, testAuthority('stranger'));
  clock.advance(30_000);
  await waitUntil(() => clock.waitingMs.length > 0, 'the look is over');
  assert.equal((await ask('/')).status, 200);
  write(next);
  clock.advance(30_000);
  await waitUntil(
    async () => (await ask('/', { root: next.root }).catch(() => undefined))?.status === 200,
    'the new certificate',
  );
  await assert.rejects(ask('/'));
  writeFileSync(options.certificate, readFileSync(options.key));
  const late = new CertificateFile(options, { clock, log: silentLogger });
  await assert.rejects(late.start(), /PEM|certificate/);
});

test('the edition grows with each change, also over a restart and a clock set back', async (t) => {
  const path = join(temporaryDirectory(t), 'sequence.json');
  const clock = new FakeClock(Date.UTC(2026, 0));
  const open = async (): Promise<BundleSequence> => {
    const sequence = new BundleSequence(path, { clock });
    await sequence.open();
    return sequence;
  };
  const first = await open();
  const one = await first.of('a');
  assert.equal(one, Date.UTC(2026, 0) / 1000);
  assert.equal(await first.of('a'), one);
  clock.jump(-86_400_000);
  const second = await open();
  assert.equal(await second.of('a'), one);
  assert.equal(await second.of('b'), one + 1);
  writeFileSync(path, 'damaged');
  clock.jump(2 * 86_400_000);
  assert.ok((await (await open()).of('c')) > one + 1);
});
