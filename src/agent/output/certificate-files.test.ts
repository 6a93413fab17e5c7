import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { CertificateFiles } from '#agent/output/certificate-files.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const ID = 'spiffe://cluster.local/ns/a/sa/b';
const authority = testAuthority();

function newSecret(): WorkloadSecret {
  const { certificate, privateKey } = authority.issue({ uris: [ID] });
  return {
    identity: parseSpiffeId(ID),
    privateKeyPem: new Secret(privateKey),
    chainPem: certificate,
    rootsPem: authority.root,
    serial: '1',
    notBeforeAt: 0,
    notAfterAt: 1,
    obtainedAt: 0,
  };
}

function setUp(t: TestContext, directory = join(temporaryDirectory(t), 'certs')) {
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } });
  const files = new CertificateFiles(
    { directory, onWritten: () => {} },
    { log, clock: systemClock, random: systemRandom },
  );
  t.after(() => files.close());
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  const written = (secret: WorkloadSecret): Promise<unknown> =>
    waitUntil(() => read('cert-chain.pem') === secret.chainPem, 'the files');
  return { files, directory, read, written, logLines };
}

describe('certificate files', () => {
  it('are three PEM files for the owner only, and said once', async (t) => {
    const { files, directory, read, written, logLines } = setUp(t);
    await files.start();
    const secret = newSecret();
    files.publish(secret);
    await written(secret);
    await files.close();
    assert.equal(read('key.pem'), secret.privateKeyPem.reveal());
    assert.equal(read('root-cert.pem'), authority.root);
    for (const name of ['key.pem', 'cert-chain.pem', 'root-cert.pem'])
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(logLines.filter((line) => line.includes('written to disk')).length, 1);
    assert.ok(!logLines.join().includes('PRIVATE KEY'));
  });

  it('change together, and the old key goes', async (t) => {
    const { files, directory, written } = setUp(t);
    await files.start();
    let last = newSecret();
    files.publish(last);
    await written(last);
    let isReading = true;
    let looks = 0;
    // One folder at a time, as an application that opens `..data` sees it.
    const reader = (async () => {
      while (isReading) {
        const pair = readPair(directory);
        if (pair) {
          looks += 1;
          assert.ok(new X509Certificate(pair.chain).checkPrivateKey(createPrivateKey(pair.key)));
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let rotation = 0; rotation < 20; rotation += 1) {
      last = newSecret();
      files.publish(last);
      await written(last);
    }
    isReading = false;
    await reader;
    await files.close();
    assert.ok(looks > 20);
    const folders = readdirSync(directory).filter((name) => /^\.\.[0-9a-f]/.test(name));
    assert.equal(folders.filter((name) => name !== '..data').length, 1);
  });

  it('replace what another agent left there', async (t) => {
    const { files, directory, read, written } = setUp(t);
    mkdirSync(directory, { mode: 0o700 });
    writeFileSync(join(directory, 'key.pem'), 'old');
    writeFileSync(join(directory, 'cert-chain.pem'), 'old');
    await files.start();
    const secret = newSecret();
    files.publish(secret);
    await written(secret);
    await files.close();
    assert.equal(read('key.pem'), secret.privateKeyPem.reveal());
  });

  it('are not written where others could swap them', async (t) => {
    const { files, directory } = setUp(t);
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    await assert.rejects(files.start(), (error) => isBulwarkError(error, 'FILES_TOO_OPEN'));
  });

  it('are tried again when the disk refused them', async (t) => {
    const { files, directory, written, logLines } = setUp(t);
    await files.start();
    // A folder in place of the link cannot be replaced by renaming.
    const blocked = join(directory, 'key.pem');
    mkdirSync(blocked);
    writeFileSync(join(blocked, 'x'), '');
    const secret = newSecret();
    files.publish(secret);
    await waitUntil(() => logLines.some((line) => line.includes('could not be')), 'the failure');
    rmSync(blocked, { recursive: true });
    await written(secret);
  });
});

/** Key and chain of the present folder; undefined when it went away meanwhile. */
function readPair(directory: string): { key: string; chain: string } | undefined {
  try {
    const folder = readlinkSync(join(directory, '..data'));
    const key = readFileSync(join(directory, folder, 'key.pem'), 'utf8');
    const chain = readFileSync(join(directory, folder, 'cert-chain.pem'), 'utf8');
    return { key, chain };
  } catch {
    return undefined;
  }
}
