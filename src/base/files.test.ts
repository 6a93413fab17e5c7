import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { readSecretFile, writeFileAtomic } from '#base/files.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

describe('files', () => {
  it('are replaced whole, for the owner only, leaving nothing beside', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'key.pem');
    await writeFileAtomic(path, 'old');
    await writeFileAtomic(path, 'new');
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['key.pem']);
  });

  it('that cannot be written leave no half file and name the remedy', async (t) => {
    const directory = temporaryDirectory(t);
    await assert.rejects(
      writeFileAtomic(join(directory, 'none', 'key.pem'), 'x'),
      (error) =>
        isBulwarkError(error, 'FILES_UNWRITABLE') && /create its dir/.test(error.remedy ?? ''),
    );
  });

  it('with secrets are read when only the owner may', async (t) => {
    const path = join(temporaryDirectory(t), 'key.pem');
    writeFileSync(path, 'secret', { mode: 0o600 });
    assert.equal((await readSecretFile(path)).toString(), 'secret');
  });

  it('with secrets that others may read are refused, unless that is asked for', async (t) => {
    const path = join(temporaryDirectory(t), 'key.pem');
    writeFileSync(path, 'secret');
    chmodSync(path, 0o640);
    await assert.rejects(
      readSecretFile(path),
      (error) => isBulwarkError(error, 'FILES_TOO_OPEN') && /mode 0640/.test(error.message),
    );
    assert.equal((await readSecretFile(path, { exclusive: false })).toString(), 'secret');
  });

  it('with secrets that are missing or huge are refused', async (t) => {
    const path = join(temporaryDirectory(t), 'token');
    await assert.rejects(readSecretFile(path), (error) =>
      isBulwarkError(error, 'FILES_UNREADABLE'),
    );
    writeFileSync(path, Buffer.alloc(300 * 1024), { mode: 0o600 });
    await assert.rejects(readSecretFile(path), (error) =>
      isBulwarkError(error, 'FILES_UNREADABLE'),
    );
  });
});
