// Changed files are followed while the server runs; bad ones are told and change nothing.
import assert from 'node:assert/strict';
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { CA_FILE } from '#ca/plugged-in/ca-files.ts';
import { PluggedInAuthority } from '#ca/plugged-in/plugged-in-authority.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { makeAuthority } from '../../../test/kit/authority-chain.ts';
import { caFilesOf, makeCaFiles, strangeKey, writeCaFiles } from '../../../test/kit/ca-files.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

/** A running authority over a folder with a sound set, and what it says. */
async function open(t: TestContext, directory = join(temporaryDirectory(t), 'cacerts')) {
  const first = makeCaFiles();
  writeCaFiles(directory, first.files);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const metrics = new Metrics();
  const trustDomain = parseTrustDomain('cluster.local');
  const authority = await PluggedInAuthority.open(
    { directory, trustDomain },
    { clock: systemClock, log, metrics },
  );
  let changes = 0;
  authority.onChange(async () => {
    changes += 1;
  });
  await authority.start();
  t.after(() => authority.close());
  const reloads = async (result: string) =>
    (await metrics.text()).match(
      new RegExp(`bulwark_ca_files_reloads_total\\{result="${result}"\\} (\\d+)`),
    )?.[1];
  return { authority, directory, first, lines, reloads, changes: () => changes };
}

const serialOf = ({ signer }: PluggedInAuthority) => signer.issuers[0].serial;

describe('a running plugged-in authority', () => {
  it('signs with a new sound set, written file by file, and tells of it', async (t) => {
    const { authority, directory, reloads, changes } = await open(t);
    const before = serialOf(authority);
    const second = makeCaFiles({ levels: 2, choice: 'P-384' });
    writeCaFiles(directory, second.files);
    await waitUntil(() => changes() > 0, 'the new set is used');
    assert.notEqual(serialOf(authority), before);
    assert.equal(authority.signer.issuers.length, 3);
    assert.equal(authority.bundlePem, second.authorities[0].pem);
    assert.equal(await reloads('taken'), '1');
  });

  it('follows a folder that is switched as Kubernetes switches mounted secrets', async (t) => {
    const top = temporaryDirectory(t);
    const mount = join(top, 'mount');
    writeCaFiles(join(mount, '..1'), makeCaFiles().files);
    const second = makeCaFiles();
    writeCaFiles(join(mount, '..2'), second.files);
    symlinkSync('..1', join(mount, '..data'));
    for (const [name, file] of Object.entries(CA_FILE))
      if (name !== 'crl') symlinkSync(join('..data', file), join(mount, file));
    const { authority, changes } = await open(t, mount);
    symlinkSync('..2', join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    await waitUntil(() => changes() > 0, 'the new set is used');
    assert.equal(authority.bundlePem, second.authorities[0].pem);
  });

  it('goes on with the old set when the new one is bad, and takes the next good one', async (t) => {
    const { authority, directory, lines, first, reloads, changes } = await open(t);
    const before = serialOf(authority);
    const key = join(directory, CA_FILE.privateKey);
    writeFileSync(key, strangeKey());
    await waitUntil(() => lines.some((line) => line.includes('do not match')), 'it is told');
    assert.equal(serialOf(authority), before);
    assert.equal(changes(), 0);
    rmSync(key);
    await waitUntil(() => lines.some((line) => line.includes('cannot read')), 'it is told');
    assert.equal(serialOf(authority), before);
    assert.equal(await reloads('refused'), '2');
    writeCaFiles(directory, first.files);
    await waitUntil(() => changes() > 0, 'the good set is used');
    assert.equal(serialOf(authority), before);
  });

  it('warns when peers may not know the new root, and not when they do', async (t) => {
    const { authority, directory, lines, first, changes } = await open(t);
    const second = makeCaFiles();
    const both = `${first.files.root}${second.files.root}`;
    const isWarned = () => lines.some((line) => line.includes('was not trusted before'));
    writeCaFiles(directory, { ...first.files, root: both });
    await waitUntil(() => changes() === 1, 'both roots are trusted');
    writeCaFiles(directory, { ...second.files, root: both });
    await waitUntil(() => serialOf(authority) === second.authorities[1]?.certificate.serial, 'new');
    assert.equal(isWarned(), false);
    writeCaFiles(directory, makeCaFiles().files);
    await waitUntil(isWarned, 'it is told');
  });

  it('announces another authority and waits, before that signs', async (t) => {
    const { authority, directory, changes } = await open(t);
    const before = serialOf(authority);
    const announced: string[] = [];
    const taken = Promise.withResolvers<void>();
    authority.onArrival(({ issuers: [one] }) => {
      announced.push(one.serial);
      return taken.promise;
    });
    const second = makeCaFiles();
    writeCaFiles(directory, second.files);
    await waitUntil(() => announced.length > 0, 'it is announced');
    assert.deepEqual(announced, [second.authorities.at(-1)?.certificate.serial]);
    assert.equal(serialOf(authority), before);
    assert.equal(changes(), 0);
    taken.resolve();
    await waitUntil(() => changes() > 0, 'it is used');
    assert.equal(serialOf(authority), announced[0]);
  });

  it('signs lists in the name of the one before, while its root is trusted', async (t) => {
    const { authority, directory, first, changes } = await open(t);
    const [root] = first.authorities;
    const second = caFilesOf([root, makeAuthority({}, root)]);
    const signers = () => authority.listSigners.map(({ issuers: [one] }) => one.serial);
    const serialIn = ({ authorities }: typeof first) => authorities.at(-1)?.certificate.serial;
    writeCaFiles(directory, second.files);
    await waitUntil(() => changes() === 1, 'the new set is used');
    assert.deepEqual(signers(), [serialIn(second), serialIn(first)]);
    const third = makeCaFiles();
    writeCaFiles(directory, third.files);
    await waitUntil(() => changes() === 2, 'the new set is used');
    assert.deepEqual(signers(), [serialIn(third)]);
  });

  it('says nothing of the key', async (t) => {
    const { directory, lines, first } = await open(t);
    writeFileSync(join(directory, CA_FILE.certificate), 'garbage');
    await waitUntil(() => lines.length > 0, 'it is told');
    const secret = first.files.privateKey?.split('\n')[1] ?? 'nothing';
    assert.ok(!lines.join('').includes(secret.slice(0, 20)));
  });
});

describe('a plugged-in authority does not open', () => {
  it('when a file is missing, or the key is readable by others', async (t) => {
    const trustDomain = parseTrustDomain('cluster.local');
    const log = createLogger({ level: 'silent', sink: { write: () => undefined } });
    const start = (directory: string) =>
      PluggedInAuthority.open(
        { directory, trustDomain },
        { clock: systemClock, log, metrics: new Metrics() },
      );
    const directory = temporaryDirectory(t);
    await assert.rejects(start(directory), (error) => isBulwarkError(error, 'FILES_UNREADABLE'));
    const { files } = makeCaFiles();
    writeCaFiles(directory, files);
    await (await start(directory)).close();
    rmSync(join(directory, CA_FILE.privateKey));
    writeFileSync(join(directory, CA_FILE.privateKey), files.privateKey ?? '', { mode: 0o644 });
    await assert.rejects(start(directory), (error) => isBulwarkError(error, 'FILES_TOO_OPEN'));
  });
});
