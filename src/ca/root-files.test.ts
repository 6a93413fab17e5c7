// The root is made once, found again, and never used or replaced when something about its files is
// wrong.
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ErrorCode } from '#base/error-codes.ts';
import { describeError, isBulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { loadOrCreateRoot } from '#ca/root-files.ts';
import type { Certificate } from '#pki/certificate.ts';
import { generateKeyPair, privateKeyToPem, publicHalf } from '#pki/keys.ts';
import { parseTrustDomain, type TrustDomain } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { ROOT_TTL_MS, TEST_TRUST_DOMAIN } from '../../test/kit/test-root.ts';

/** A folder for a root, what was logged, and the call under test. */
function open(test: TestContext) {
  const directory = join(temporaryDirectory(test), 'ca');
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } });
  const load = (...aliases: readonly TrustDomain[]) =>
    loadOrCreateRoot(
      { directory, trustDomain: TEST_TRUST_DOMAIN, aliases, ttlMs: ROOT_TTL_MS },
      { clock, random: systemRandom, log },
    );
  const key = join(directory, 'ca-key.pem');
  const certificate = join(directory, 'root-cert.pem');
  return { directory, clock, lines, load, key, certificate };
}

const failsWith = (code: ErrorCode, pattern: RegExp) => (error: unknown) => {
  assert.ok(isBulwarkError(error, code), String(error));
  assert.match(describeError(error), pattern);
  return true;
};

describe('the root of the mesh', () => {
  it('is made at the first start, for its owner only, and is the same at the next', async (t) => {
    const { load, key, directory, clock } = open(t);
    const made = await load();
    assert.equal((await stat(key)).mode & 0o777, 0o600);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
    assert.equal(made.certificate.isCa, true);
    assert.equal(made.certificate.notBeforeAt, clock.now() - 120_000);
    assert.equal(made.certificate.notAfterAt, clock.now() + ROOT_TTL_MS);
    const again = await load();
    assert.deepEqual(again.certificate.der, made.certificate.der);
    assert.equal(again.privateKey.equals(made.privateKey), true);
    assert.deepEqual((await readdir(directory)).sort(), ['ca-key.pem', 'root-cert.pem']);
  });

  it('is another in another folder', async (t) => {
    const [one, two] = [await open(t).load(), await open(t).load()];
    assert.notEqual(one.certificate.subjectKeyId, two.certificate.subjectKeyId);
  });

  it('gets a certificate for its key after a crash between the two', async (t) => {
    const { load, certificate } = open(t);
    const before = await load();
    await rm(certificate);
    const after = await load();
    assert.equal(after.privateKey.equals(before.privateKey), true);
    assert.equal(after.certificate.subjectKeyId, before.certificate.subjectKeyId);
    assert.deepEqual(after.certificate.subject, before.certificate.subject);
  });

  it('says nothing of its key in the log', async (t) => {
    const { load, lines, key } = open(t);
    await load();
    assert.ok(lines.length > 0);
    const secret = (await readFile(key, 'latin1')).split('\n')[1] ?? 'nothing';
    assert.ok(!lines.join('').includes(secret.slice(0, 20)));
  });
});

describe('the root may sign', () => {
  const mayAt = ({ nameConstraints }: Certificate) => nameConstraints?.permitted.uriHosts;
  const other = parseTrustDomain('other.example');

  it('identities of the trust domain and its aliases, no others', async (t) => {
    assert.deepEqual(mayAt((await open(t).load()).certificate), ['cluster.local']);
    const both = (await open(t).load(other)).certificate;
    assert.deepEqual(mayAt(both), ['cluster.local', 'other.example']);
  });

  it('a domain that is new once it was certified anew, with the same name and key', async (t) => {
    const { load } = open(t);
    const before = (await load()).certificate;
    const after = (await load(other)).certificate;
    assert.deepEqual(mayAt(after), ['cluster.local', 'other.example']);
    for (const field of ['spki', 'subject', 'subjectKeyId', 'notBeforeAt', 'notAfterAt'] as const)
      assert.deepEqual(after[field], before[field], field);
    assert.notEqual(after.serial, before.serial);
    const again = (await load()).certificate;
    assert.equal(again.serial, after.serial);
  });

  it('anything when it was made without a bound, and stays as it is', async (t) => {
    const { load, key, certificate } = open(t);
    const { privateKey } = await load();
    const keys = { privateKey, publicKey: publicHalf(privateKey) };
    await rewrite(certificate, makeAuthority({ keys, ...validAt(0) }).pem);
    const before = await readFile(certificate);
    assert.equal(mayAt((await load(other)).certificate), undefined);
    assert.deepEqual(await readFile(certificate), before);
    assert.equal((await stat(key)).mode & 0o777, 0o600);
  });
});

/** Whatever the clock of a test says. */
function validAt(notBeforeAt: number) {
  return { notBeforeAt, notAfterAt: Date.UTC(2049, 0) };
}

describe('the root is not used', () => {
  it('when others may read its key', async (t) => {
    const { load, key } = open(t);
    await load();
    await chmod(key, 0o644);
    await assert.rejects(load(), failsWith('FILES_TOO_OPEN', /ca-key.pem.*chmod 600/));
    await chmod(key, 0o600);
    await load();
  });

  it('when its key is gone, and is not replaced', async (t) => {
    const { load, key, certificate } = open(t);
    await load();
    const before = await readFile(certificate);
    await rm(key);
    await assert.rejects(
      load(),
      failsWith('CA_KEY_UNUSABLE', /ca-key.pem is not \(restore the key/),
    );
    assert.deepEqual(await readFile(certificate), before);
  });

  const damages: Readonly<Record<string, [(paths: Paths) => Promise<void>, RegExp]>> = {
    'with an empty key': [({ key }) => rewrite(key, ''), /ca-key.pem cannot be read/],
    'with a key that is garbage': [
      ({ key }) => rewrite(key, 'garbage'),
      /ca-key.pem cannot be read/,
    ],
    'with a certificate that is garbage': [
      ({ certificate }) => rewrite(certificate, 'garbage'),
      /root-cert.pem cannot be read/,
    ],
    'with another key': [
      ({ key }) => rewrite(key, privateKeyToPem(generateKeyPair().privateKey).reveal()),
      /made for another key/,
    ],
    'with two certificates': [
      async ({ certificate }) =>
        rewrite(certificate, (await readFile(certificate, 'latin1')).repeat(2)),
      /more than one certificate/,
    ],
  };
  for (const [what, [damage, pattern]] of Object.entries(damages))
    it(what, async (t) => {
      const { load, key, certificate } = open(t);
      await load();
      await damage({ key, certificate });
      await assert.rejects(load(), failsWith('CA_KEY_UNUSABLE', pattern));
    });

  it('after its end, and before its beginning', async (t) => {
    const { load, clock } = open(t);
    await load();
    clock.jump(ROOT_TTL_MS + 1000);
    await assert.rejects(load(), failsWith('CA_KEY_UNUSABLE', /expired at/));
    clock.jump(-2 * ROOT_TTL_MS);
    await assert.rejects(load(), failsWith('CA_KEY_UNUSABLE', /is the clock right/));
  });

  it('when its folder cannot be written', async (t) => {
    const { load, directory } = open(t);
    await writeFile(directory, 'a file where a folder belongs');
    await assert.rejects(load(), failsWith('FILES_UNWRITABLE', /ca/));
  });
});

interface Paths {
  readonly key: string;
  readonly certificate: string;
}

function rewrite(path: string, text: string): Promise<void> {
  return writeFile(path, text);
}
