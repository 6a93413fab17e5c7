import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findEnvoy } from '#agent/envoy/find-envoy.ts';
import { isBulwarkError } from '#base/errors.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

/** An executable that answers `--version` as given. */
function program(directory: string, name: string, answer: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\necho '${answer}'\n`);
  chmodSync(path, 0o755);
  return path;
}

const VERSION_TEXT = 'envoy  version: 9e5580933739775e/1.39.2/Clean/RELEASE/BoringSSL';
const NO_RECORD = '/nonexistent/envoy.json';

describe('the search for Envoy', () => {
  it('takes the setting first, then PATH, then what the set-up recorded', async (t) => {
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, 'bin'));
    const onPath = program(join(directory, 'bin'), 'envoy', VERSION_TEXT);
    const set = program(directory, 'set', 'envoy  version: 12ab/1.40.0/Clean/RELEASE/BoringSSL');
    const recorded = program(directory, 'recorded', 'must not be asked');
    const { size, mtimeMs } = statSync(recorded);
    const recordFile = join(directory, 'envoy.json');
    const record = { path: recorded, version: '1.40.1', size, mtimeMs };
    writeFileSync(recordFile, JSON.stringify(record));
    const searchPath = `/nonexistent:${join(directory, 'bin')}`;

    assert.deepEqual(await findEnvoy({ envoyPath: set, searchPath, recordFile }), {
      path: set,
      version: '1.40.0',
    });
    assert.deepEqual(await findEnvoy({ envoyPath: undefined, searchPath, recordFile }), {
      path: onPath,
      version: '1.39.2',
    });
    assert.deepEqual(await findEnvoy({ envoyPath: undefined, searchPath: '', recordFile }), {
      path: recorded,
      version: '1.40.1',
    });
  });

  it('says how to get one when there is none', async (t) => {
    const nowhere = { envoyPath: undefined, searchPath: '', recordFile: NO_RECORD };
    await assert.rejects(findEnvoy(nowhere), (error) => {
      assert.ok(isBulwarkError(error, 'AGENT_ENVOY_MISSING'));
      return /BULWARK_ENVOY.*PATH.*setup/.test(error.remedy ?? '');
    });
    const plain = join(temporaryDirectory(t), 'plain');
    writeFileSync(plain, 'text', { mode: 0o600 });
    const wrong = { envoyPath: plain, searchPath: '', recordFile: NO_RECORD };
    await assert.rejects(findEnvoy(wrong), (error) => isBulwarkError(error, 'AGENT_ENVOY_MISSING'));
  });

  it('refuses an old version and what is no Envoy', async (t) => {
    const directory = temporaryDirectory(t);
    const old = program(directory, 'old', 'envoy  version: 1/1.31.0/Clean/RELEASE/BoringSSL');
    const other = program(directory, 'other', 'hello');
    for (const envoyPath of [old, other]) {
      await assert.rejects(
        findEnvoy({ envoyPath, searchPath: '', recordFile: NO_RECORD }),
        (error) => isBulwarkError(error, 'AGENT_ENVOY_UNSUPPORTED'),
      );
    }
  });
});
