// An offline root and the authority below it: what the server takes, and nothing that was there is
// written over.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readCaFiles } from '#ca/plugged-in/ca-files.ts';
import { type CaSet, parseCaSet } from '#ca/plugged-in/ca-set.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { bulwark } from '../../../test/kit/bulwark.ts';
import { opensslVerify } from '../../../test/kit/openssl.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const DAY_MS = 86_400_000;

/** Runs `bulwark ca init`; gives how it ended and what it said. */
async function init(test: TestContext, ...args: readonly string[]) {
  const child = bulwark(['ca', 'init', ...args]);
  test.after(() => child.stop());
  await child.ended;
  return { code: child.exit?.code, said: child.lines.join('\n') };
}

async function load(directory: string, trustDomain = 'cluster.local'): Promise<CaSet> {
  const files = await readCaFiles(directory);
  return parseCaSet(files, { at: Date.now(), trustDomain: parseTrustDomain(trustDomain) });
}

describe('bulwark ca init --offline-root', () => {
  for (const key of ['P-256', 'RSA-2048'])
    it(`makes an authority of ${key} that the server takes, and tells what to do`, async (t) => {
      const out = join(temporaryDirectory(t), 'new');
      const args = ['--offline-root', '--out', out, '--trust-domain', 'mesh.example', '--key', key];
      const { code, said } = await init(t, ...args);
      assert.equal(code, 0, said);
      assert.match(said, /Move .*root to a medium.*bulwark server --ca-certificates/s);
      assert.match(said, /may sign +identities of mesh.example only/);
      const set = await load(join(out, 'cacerts'), 'mesh.example');
      const [issuer, root] = set.signer.issuers;
      assert.deepEqual([issuer.pathLength, root?.pathLength], [0, undefined]);
      assert.ok(issuer.notAfterAt > Date.now() + 364 * DAY_MS);
      assert.ok((root?.notAfterAt ?? 0) > Date.now() + 3649 * DAY_MS);
      await assert.rejects(load(join(out, 'cacerts')), /do not permit/);
      const leaf = readFileSync(join(out, 'cacerts', 'ca-cert.pem'), 'utf8');
      assert.equal(await opensslVerify(t, { leaf, roots: [set.bundlePem] }), 'ok');
    });

  it('keeps both keys for the owner, and the one of the root out of what the server gets', async (t) => {
    const out = temporaryDirectory(t);
    await init(t, '--offline-root', '--out', out);
    for (const key of ['root/root-key.pem', 'cacerts/ca-key.pem'])
      assert.equal(statSync(join(out, key)).mode & 0o777, 0o600);
    for (const folder of ['root', 'cacerts'])
      assert.equal(statSync(join(out, folder)).mode & 0o777, 0o700);
    const secret = readFileSync(join(out, 'root/root-key.pem'), 'utf8').split('\n')[1] ?? '';
    const files = Object.values(await readCaFiles(join(out, 'cacerts'))).map(String);
    assert.ok(secret.length > 0 && !files.join('').includes(secret));
  });

  it('writes nothing over', async (t) => {
    const out = temporaryDirectory(t);
    await init(t, '--offline-root', '--out', out);
    const before = readFileSync(join(out, 'root/root-key.pem'), 'utf8');
    const { code, said } = await init(t, '--offline-root', '--out', out);
    assert.equal(code, 64);
    assert.match(said, /is there already; keys are not written over/);
    assert.equal(readFileSync(join(out, 'root/root-key.pem'), 'utf8'), before);
    const other = temporaryDirectory(t);
    mkdirSync(join(other, 'cacerts'));
    assert.equal((await init(t, '--offline-root', '--out', other)).code, 64);
    assert.equal(existsSync(join(other, 'root')), false);
  });
});

describe('bulwark ca init --root', () => {
  it('makes the next authority below the same root, which ends no later', async (t) => {
    const out = temporaryDirectory(t);
    await init(t, '--offline-root', '--out', out, '--root-ttl', '48h', '--ttl', '24h');
    const root = ['--root', join(out, 'root')];
    const { code, said } = await init(t, ...root, '--out', join(out, 'next'), '--ttl', '72h');
    assert.equal(code, 0, said);
    const [first, next] = [await load(join(out, 'cacerts')), await load(join(out, 'next/cacerts'))];
    assert.equal(next.bundlePem, first.bundlePem);
    assert.notEqual(next.signer.issuers[0].serial, first.signer.issuers[0].serial);
    assert.equal(next.signer.issuers[0].notAfterAt, next.roots[0].notAfterAt);
  });

  it('is refused for a key that others may read, and for a folder that is none', async (t) => {
    const out = temporaryDirectory(t);
    await init(t, '--offline-root', '--out', out);
    const use = (folder: string) =>
      init(t, '--root', join(out, folder), '--out', join(out, 'next'));
    assert.match((await use('cacerts')).said, /cannot read/);
    chmodSync(join(out, 'root/root-key.pem'), 0o644);
    assert.match((await use('root')).said, /chmod 600/);
    assert.equal(existsSync(join(out, 'next')), false);
  });
});

describe('bulwark ca init', () => {
  it('wants to know which root, and durations that are some', async (t) => {
    const out = join(temporaryDirectory(t), 'new');
    for (const [args, pattern] of [
      [[], /either --offline-root or --root/],
      [['--offline-root', '--root', out], /either --offline-root or --root/],
      [['--offline-root', '--ttl', 'soon'], /--ttl soon is no duration/],
      [['--offline-root', '--trust-domain', 'A B'], /no trust domain/],
    ] as const) {
      const { code, said } = await init(t, '--out', out, ...args);
      assert.notEqual(code, 0);
      assert.match(said, pattern);
      assert.equal(existsSync(out), false);
    }
  });
});
