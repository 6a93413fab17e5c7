// Every kind of certificate and list that the product signs is good for two other implementations:
// @peculiar/x509 and the openssl command. The meshes of other tests are judged in the same way when
// they end (test/kit/real-mesh.ts), and what tests sign inside their own process, at the end of a
// run (tools/test.ts).
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generateKeyPair, type KeyPair } from '#pki/keys.ts';
import { bulwark } from '../kit/bulwark.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import type { ManagedProcess } from '../kit/child-process.ts';
import { type Opinion, SecondOpinion, verifySignatures } from '../kit/second-opinion.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN_MS = 60_000;
const KEYS: Readonly<Record<string, () => KeyPair>> = {
  'ec prime256v1': () => generateKeyPair('P-256'),
  'ec secp384r1': () => generateKeyPair('P-384'),
  'rsa 2048': () => generateKeyPair('RSA-2048'),
  'rsa 4096': () => generateKeyPair('RSA-4096'),
  ed25519: () => generateKeyPairSync('ed25519'),
};
const ID = 'spiffe://cluster.local/ns/default/sa/default';

/** Programs whose signatures are judged. */
function judged(t: TestContext) {
  const directory = temporaryDirectory(t);
  const opinion = new SecondOpinion();
  t.after(() => opinion.close());
  const start = (...args: readonly string[]): ManagedProcess => {
    const child = bulwark(args, opinion.env);
    t.after(() => child.stop());
    return child;
  };
  return {
    directory,
    opinion,
    run: async (...args: readonly string[]): Promise<readonly string[]> => {
      const child = start(...args);
      await child.ended;
      assert.equal(child.exit?.code, 0, child.tail());
      return child.lines;
    },
    serve: async (...args: readonly string[]): Promise<CertificateCaller> => {
      const data = join(directory, 'data');
      const ports = ['--secure-port', '0', '--monitoring-port', '0'];
      const server = start('server', '--data', data, ...ports, ...args);
      await server.waitForLine((line) => line === 'ready' || undefined, WITHIN_MS);
      const caller = await CertificateCaller.connect(data);
      t.after(() => caller.close());
      return caller;
    },
  };
}

const having = (opinions: readonly Opinion[], like: Partial<Opinion>): readonly Opinion[] =>
  opinions.filter((one) =>
    Object.entries(like).every(([name, value]) => one[name as keyof Opinion] === value),
  );

test('what a mesh with a root of its own signs is good for two other implementations', async (t) => {
  const { directory, opinion, run, serve } = judged(t);
  const caller = await serve('--root-rotation', 'manual', '--service-account-secrets', 'true');
  for (const make of Object.values(KEYS)) await caller.sign(make());
  const { serial } = await caller.sign();
  await caller.revoke('one', serial);
  const kubeconfig = ['--kubeconfig', join(directory, 'data', 'admin.kubeconfig')];
  const named = ['-n', 'default', '--service-account', 'default'];
  const made = await run('join', 'create', ...named, ...kubeconfig);
  const token = made.find((line) => line.startsWith('bwj_')) ?? assert.fail('no join token');
  await caller.sign(generateKeyPair(), token);
  for (const step of ['prepare', 'activate'] as const) await caller.rotate(step);
  await caller.sign();
  for (const step of ['taint', 'revoke'] as const) await caller.rotate(step);
  await caller.sign();

  const secrets = '/api/v1/namespaces/default/secrets/istio.default';
  const isThere = async () =>
    (await caller.api.send({ method: 'GET', path: secrets })).status === 200;
  await waitUntil(isThere, 'the Secret of an account', { withinMs: WITHIN_MS });
  const opinions = await opinion.verify();
  for (const key of Object.keys(KEYS))
    assert.ok(having(opinions, { kind: 'leaf', key, names: ID }).length > 0, key);
  assert.ok(having(opinions, { kind: 'root' }).length >= 2);
  assert.ok(having(opinions, { kind: 'list' }).length > 0, 'a list');
  assert.ok(opinions.some(({ kind, names }) => kind === 'leaf' && names.includes('istiod')));
});

test('what an authority below an offline root signs is good for two others', async (t) => {
  const { directory, opinion, run, serve } = judged(t);
  const out = join(directory, 'ca');
  await run('ca', 'init', '--offline-root', '--out', out);
  const caller = await serve('--ca-certificates', join(out, 'cacerts'));
  for (const make of Object.values(KEYS)) await caller.sign(make());
  const opinions = await opinion.verify();
  // That of the mesh, and that for clients of the API.
  assert.equal(having(opinions, { kind: 'root' }).length, 2);
  assert.equal(having(opinions, { kind: 'intermediate' }).length, 1);
  for (const key of Object.keys(KEYS))
    assert.ok(having(opinions, { kind: 'leaf', key, names: ID }).length > 0, key);
});

test('a signature or a chain that is not good is found', async (t) => {
  const { opinion, serve } = judged(t);
  await serve();
  const records = opinion.env.BULWARK_TEST_SIGNED ?? assert.fail();
  const text = readFileSync(records, 'utf8');
  await opinion.verify();
  assert.ok((await verifySignatures(records)).certificate > 0);
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const forged = lines.map((record, index) => {
    const der = Buffer.from(record.der, 'base64');
    if (index === lines.length - 1) der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    return JSON.stringify({ ...record, der: der.toString('base64') });
  });
  writeFileSync(records, forged.join('\n'));
  await assert.rejects(opinion.verify(), assert.AssertionError);
  await assert.rejects(verifySignatures(records), assert.AssertionError);
});
